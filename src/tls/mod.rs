//! TLS: today, to `https://` targets.
//!
//! rustls does the work; here is how it is set up (`client.rs`) and how an encrypted and a plain
//! connection come to look alike to the proxy (`stream.rs`). Built off the data plane, with a
//! generation; used by `upstream/` when it opens a connection.

mod client;
mod input;
mod stream;

pub use client::{Connector, ConnectorError};
pub use input::Input;
pub use stream::Stream;
