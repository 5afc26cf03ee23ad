//! HTTP of the control plane with servers elsewhere: one connection for one request, over TLS.
//!
//! The data plane never uses it. Heads and bodies are read by `http1/`, as those of targets are.

mod client;
mod connection;
mod url;

pub use client::{Answer, Client, Request};
pub use url::Url;
