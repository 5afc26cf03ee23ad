//! Connections of a worker to targets. The idle ones of each target are kept across generations.

mod pools;

mod pool;

mod connection;

pub use connection::TargetConnection;
pub use pool::{ConnectError, Pool};
pub use pools::Pools;
