//! smolgate, a small reverse proxy on the smol stack.
//!
//! The modules stand in the order in which a byte meets them; a module uses only what stands
//! below it, `config::plan`, `log` and `reason`. `tests/tidy.rs` keeps that.

pub mod cli;
pub mod demo;

pub mod gate;

pub mod internal_api;
pub mod proxy;
pub mod watch;

pub mod generation;

pub mod routing;
pub mod tls;
pub mod upstream;

pub mod http;
pub mod http1;
pub mod proxy_protocol;
pub mod worker;

pub mod config;
pub mod log;
pub mod metrics;
pub mod reason;

pub mod files;
