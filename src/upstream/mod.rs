//! Upstreams, as the data plane sees them: which target, which address, which connection.
//!
//! ```text
//!   Upstream --in turn--> Pool (one a target) --idle link, newest first--> Link
//!                           |                                               ^
//!                           +-- Name (control plane: addresses) --connect---+
//! ```
//!
//! Pools belong to a worker and outlive generations: a reload that keeps a target keeps its
//! connections. Names are resolved on the control plane and shared. Called by `proxy/`; knows
//! nothing of requests but whether it may hand out a connection that was used before.

mod book;
mod choice;
mod directory;
mod link;
mod names;
mod pool;

pub use book::Book;
pub use choice::Upstream;
pub use directory::{Directory, DirectoryError};
pub use link::Link;
pub use names::{Name, Names};
pub use pool::{ConnectError, Pool};
