//! Limits without the policies that use them: on requests that are open at once, on requests in a time, on bytes in a time.
//! Nothing here knows a request or a socket.

mod concurrency;
mod gcra;
mod pace;
mod shards;

pub use concurrency::{ConcurrencyLimit, ConcurrencyPermit};
pub use gcra::LimitTable;
pub(super) use gcra::{Rate, Taken};
pub(super) use pace::SpeedLimit;
pub use pace::{ConnectionSpeed, Pace, Paces, SharedSpeeds};
pub(super) use shards::{SHARDS, Shards};
