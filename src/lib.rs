//! smolgate, a small reverse proxy on the smol stack.
//!
//! The modules stand in the order in which a byte meets them; a module uses only what stands
//! below it, `config::plan` and `log`. `tests/tidy.rs` keeps that.

pub mod cli;
pub mod config;
pub mod disk;
pub mod http;
pub mod internal;
pub mod log;
pub mod routing;
pub mod whoami;
pub mod worker;
