//! Connections of a worker to targets: the idle ones of each target, over all generations.

mod pools;

mod pool;

mod connection;

pub use connection::TargetConnection;
pub use pool::{ConnectError, Pool};
pub use pools::Pools;
