//! TLS, on both sides of the gate.
//!
//! ```text
//!   client ---> hello.rs      which name does it ask for? nothing is answered yet
//!           `-> server.rs     the handshake, with one of certificates/
//!                 `-> stream.rs   encrypted and plain connections look alike from here on
//!   target <--- client.rs     the handshake with an `https://` target
//! ```
//!
//! What TLS says over a socket, from the first byte of a handshake to `close_notify`, is in `session.rs`.
//!
//! rustls does the work; here is how it is set up. `upstream/` uses it to open a connection, and `proxy/` when one
//! comes in.

mod client;
mod server;

mod alert;
mod input;
mod resolver;
mod ticket_keys;

mod certificates;
mod stream;

mod client_auth;
mod hello;
mod session;

pub use alert::{Alert, refuse};
pub use certificates::{Problem, files_of, may_count};
pub use client::{Connector, ConnectorError};
pub use client_auth::Admission;
pub use hello::{HELLO_BYTES_MAX, Hello, HelloError, HelloScan, parse_hello};
pub use input::Input;
pub use server::{HandshakeError, Terminator};
pub use stream::{Encrypted, Stream};
pub use ticket_keys::TicketKeys;
