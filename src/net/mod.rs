//! The control plane with servers elsewhere: HTTP with one connection for one request, over TLS, and DNS.
//!
//! The data plane never uses it. Heads and bodies are read by `http1/`, as those of targets are.

mod client;
mod connection;
mod url;

pub mod dns;

pub use client::{Answer, Client, Request};
pub use url::Url;
