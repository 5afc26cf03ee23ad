//! Upstreams, as the data plane sees them: which target, which address, which connection.
//!
//! ```text
//!   Upstream --in turn--> Pool (one a target) --idle connection, newest first--> Link
//!                           |                                               ^
//!                           +-- Name (of all workers: addresses) --connect---+
//! ```
//!
//! Pools belong to a worker and outlive generations: a reload that keeps a target keeps its
//! connections. Names are shared, and resolved on threads of their own. Called by `proxy/`; knows
//! nothing of requests but whether it may hand out a connection that was used before.

mod upstream;

mod pool;
mod table;

mod attempts;
mod name_cache;

mod resolver;

pub use name_cache::{NameCache, ResolvedName};
pub use pool::{ConnectError, Pool, Pools, TargetConnection};
pub use resolver::{Resolver, SystemResolver, Unresolved};
pub use table::{UpstreamError, UpstreamTable};
pub use upstream::Upstream;
