//! What comes before the first request of a connection: a PROXY header, a TLS handshake.

pub(super) mod proxy_header;
pub(super) mod tls;

pub use tls::handshake_limit;
