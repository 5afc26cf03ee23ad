//! TLS, on both sides of the gate.
//!
//! ```text
//!   client ---> hello.rs      which name does it ask for? nothing is answered yet
//!           `-> server.rs     the handshake, with one of certificates.rs
//!                 `-> stream.rs   encrypted and plain connections look alike from here on
//!   target <--- client.rs     the handshake with an `https://` target
//! ```
//!
//! What TLS says over a socket, from the first byte of a handshake to `close_notify`, is in `session.rs`.
//!
//! rustls does the work; here is how it is set up. Certificates and authorities are read off the data
//! plane, with a generation (`certificates.rs`, `folder.rs`, `x509.rs`, `coverage.rs`). Used by `upstream/` when it
//! opens a connection and by `proxy/` when one comes in.

mod certificates;
mod client;
mod client_auth;
mod coverage;
mod folder;
mod hello;
mod input;
mod server;
mod session;
mod stream;
mod ticket_keys;
mod x509;

pub use certificates::Problem;
pub use client::{Connector, ConnectorError};
pub use client_auth::Admission;
pub use folder::{files_of, may_count};
pub use hello::{HELLO_BYTES_MAX, Hello, HelloError, HelloScan, parse_hello};
pub use input::Input;
pub use server::{Alert, HandshakeError, Terminator, refuse};
pub use stream::{Encrypted, Stream};
pub use ticket_keys::TicketKeys;
