//! TLS with clients and with targets.
//!
//! ```text
//!   client ---> hello.rs      the name that the client asks for; nothing is answered yet
//!           `-> server.rs     the handshake, with one of certificates/
//!                 `-> stream.rs   encrypted and plain connections look alike from here on
//!   target <--- client.rs     the handshake with an `https://` target
//! ```
//!
//! `session.rs` runs TLS over a socket, from the first byte of a handshake to `close_notify`.
//!
//! rustls does the work, and this module sets it up. `upstream/` uses it for connections to targets, and
//! `proxy/` for those of clients.

mod client;
mod server;

mod input;
mod pinned;
mod ticket_keys;

mod certificates;
mod stream;

mod client_auth;
mod hello;
mod session;
mod shared_stream;

pub use certificates::{
    Identity, Issued, Problem, Proof, Validity, address_of, files_of, host_of, life, may_count,
};
pub use client::{Connector, ConnectorError, HTTP2_PROTOCOL, explained};
pub use client_auth::Admission;
pub use hello::{Alert, HELLO_BYTES_MAX, Hello, HelloError, HelloScan, parse_hello, refuse};
pub use input::Input;
pub use server::{HandshakeError, Terminator};
pub use shared_stream::{NoStream, Readable, SharedStream, StreamEnd};
pub use stream::{Encrypted, Stream};
pub use ticket_keys::TicketKeys;
