//! Upstreams, as the data plane sees them: which endpoint, which connection.
//!
//! ```text
//!   Upstream --balance--> Endpoint --newest idle connection--> TargetConnection
//!      |                     |                                       ^
//!      |                     +------ race of the target's endpoints -+
//!      +-- EndpointSet (of all workers) <-- ResolvedName (of all upstreams)
//! ```
//!
//! An endpoint is one address of one target. The control plane makes the [`EndpointSet`] of each upstream, and makes
//! it anew when a name changes. Workers compare its version for every request. [`EndpointState`] holds the facts of
//! an endpoint that all workers share, over all generations.
//!
//! Pools belong to a worker and outlive generations, so a reload that keeps a target keeps its connections.
//! Names are shared by all workers and resolved on threads of their own. Of a request, this module knows only
//! whether it may use a connection that was used before, and the key by which it is balanced.

mod waiting;

mod connect;
mod generations;
mod retries;
mod upstream;

mod balance;
mod budget;
mod endpoints;
mod pool;
mod table;

mod sticky;

mod endpoint_set;
mod names;

mod limits;

mod endpoint_state;

pub use endpoint_set::{EndpointSet, KnownEndpoint};
pub use endpoint_state::{EndpointState, Standing};
pub use limits::Waits;
pub use names::{NameCache, ResolvedName, Resolver, SystemResolver, Unresolved};
pub use pool::{ConnectError, Pools, TargetConnection};
pub use retries::Next;
pub use table::{UpstreamError, UpstreamTable};
pub use upstream::{Choice, Upstream, hash_key};
pub use waiting::{Hold, Keys};
