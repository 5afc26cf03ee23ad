//! Upstreams, as the data plane sees them: which target, which address, which connection.
//!
//! ```text
//!   Upstream --in turn--> Pool (one a target) --idle link, newest first--> Link
//!                           |                                               ^
//!                           +-- Name (of all workers: addresses) --connect---+
//! ```
//!
//! Pools belong to a worker and outlive generations: a reload that keeps a target keeps its
//! connections. Names are shared, and resolved on threads of their own. Called by `proxy/`; knows
//! nothing of requests but whether it may hand out a connection that was used before.

mod attempts;
mod book;
mod choice;
mod directory;
mod link;
mod names;
mod pool;
mod resolver;

pub use book::Book;
pub use choice::Upstream;
pub use directory::{Directory, DirectoryError};
pub use link::Link;
pub use names::{Name, Names};
pub use pool::{ConnectError, Pool};
pub use resolver::{Resolver, SystemResolver, Unresolved};
