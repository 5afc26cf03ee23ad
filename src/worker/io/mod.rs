//! Sockets on a worker.

mod listener;
mod splice;

mod stream;

mod socket;

pub use listener::{AcceptError, Listener};
pub use socket::{BACKLOG, is_free, listen};
pub use splice::Pipe;
pub use stream::TcpStream;
