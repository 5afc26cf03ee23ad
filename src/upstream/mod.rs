//! Upstreams, as the data plane sees them: which target, which address, which connection.
//!
//! ```text
//!   Upstream --round robin--> Pool (per target) --newest idle connection--> TargetConnection
//!                               |                                               ^
//!                               +-- ResolvedName (of all workers) --connect-----+
//! ```
//!
//! Pools belong to a worker and outlive generations, so a reload that keeps a target keeps its connections.
//! Names are shared by all workers and resolved on threads of their own. Of a request, this module knows only
//! whether it may use a connection that was used before.

mod upstream;

mod pool;
mod table;

mod attempts;
mod name_cache;
mod own;

mod resolver;

pub use name_cache::{NameCache, ResolvedName};
pub use pool::{ConnectError, Pool, Pools, TargetConnection};
pub use resolver::{Resolver, SystemResolver, Unresolved};
pub use table::{UpstreamError, UpstreamTable};
pub use upstream::Upstream;
