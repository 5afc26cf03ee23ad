//! smolgate, a small reverse proxy on the smol stack.
//!
//! The modules stand in the order of their use: each one uses only modules below it. `tests/tidy.rs` checks
//! that. Start with `proxy/exchange.rs`: the life of a request on one screen.

// The program: one function per command.
pub mod cli; // commands and their arguments
#[cfg(feature = "demo")]
pub mod demo; // `smolgate demo`, and whoami, the upstream behind it

// The control plane: ordinary smol tasks. It decides what is served.
pub mod gate; // start, reload, drain, stop
pub mod internal_api; // HTTP for operators: reload, metrics, health, views
#[cfg(feature = "acme")]
pub mod acme; // certificates from a certificate authority
#[cfg(feature = "acme")]
pub mod store; // the folder of certificates, keys and attempts
#[cfg(any(feature = "acme", feature = "jwt"))]
pub mod net; // HTTP with servers elsewhere
pub mod watch; // files that changed
pub mod health; // asks each endpoint whether it is well

// The data plane: one thread per worker, nothing shared. It serves, and never calls the control plane.
pub mod proxy; // the life of a connection and of a request
pub mod generation; // what one load of the configuration built
#[cfg_attr(not(feature = "plugins"), path = "plugin/no_plugins.rs")]
pub mod plugin; // processes that are asked about requests
pub mod policy; // CORS, rate limits: what a rule does besides its action
#[cfg(feature = "files")]
pub mod file_server; // the path of a request becomes an open file
#[cfg_attr(not(feature = "compress"), path = "encoding/no_encoding.rs")]
pub mod encoding; // bodies that become shorter on their way
pub mod upstream; // targets, connection pools, name resolution
#[cfg_attr(not(feature = "http2"), path = "mux/none.rs")]
pub mod mux; // many streams over one connection
pub mod tls; // handshakes on both sides, certificates
pub mod routing; // a request head becomes a rule

// Protocols: bytes in, values out. No socket, no clock, no await.
#[cfg(feature = "http2")]
pub mod http2; // RFC 9113, RFC 7541: frames, streams and header blocks of HTTP/2
pub mod http1; // RFC 9112: messages of HTTP/1.1
pub mod proxy_protocol; // the PROXY header

// The base of all others.
pub mod worker; // executor, reactor, timers, buffers, sockets
pub mod log; // events and the access log
pub mod metrics; // counters
pub mod config; // text becomes a plan
pub mod jwt; // tokens and the keys that verify them
pub mod http; // RFC 9110: methods, names, hosts, paths, heads
pub mod reason; // why smolgate answered or closed by itself
pub mod auth; // hashes of passwords
pub mod files; // opens files without waiting
