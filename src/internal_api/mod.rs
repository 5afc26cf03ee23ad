//! The internal API: reload, metrics, health, views. On the control plane, never on a worker.
//!
//! ```text
//! server.rs      socket, accept
//!   slots.rs       at most so many connections and reloads
//!   connection.rs  one request: bytes in by a deadline, bytes out by a deadline
//!     head.rs        which heads may reach the HTTP library at all (sans-IO)
//!     endpoints.rs   the table of paths, and each answer
//!       authorization.rs  token, cross-site requests, foreign names (sans-IO)
//!       views.rs          rules and health as JSON
//! client.rs      the other side, for `smolgate reload` and `smolgate healthcheck`
//! ```
//!
//! HTTP is async-h1's, which suits here and not on the data plane. What it does not bound or check
//! is done around it, so that whatever a peer sends costs little and ends soon. This module knows
//! nothing of the gate: it asks through [`Control`], which the gate implements.

pub mod client;
pub mod server;

mod connection;

mod endpoints;

mod authorization;
mod head;
mod slots;
mod views;

pub mod control;

pub use control::{Control, Phase};
pub use server::Server;
pub use slots::Limits;
pub use views::{Route, routes};
