//! Connections of a worker to endpoints. The idle ones of each endpoint are kept across generations.

mod pools;

mod pool;

mod shared;

mod connection;
mod own;
mod race;

pub use connection::TargetConnection;
pub use pool::ConnectError;
pub use pools::Pools;

pub(super) use pool::{Destination, Pool, Protocol};
pub(super) use race::{ENDPOINTS_MAX, Race};
