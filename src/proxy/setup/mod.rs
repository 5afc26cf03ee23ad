//! The set-up of a connection, before its first request: a PROXY header, a TLS handshake.

pub(super) mod proxy_header;
pub(super) mod tls;

pub use tls::handshake_limit;
