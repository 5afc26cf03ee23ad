//! The internal API: reload, metrics, health, views. It runs on the control plane, never on a worker.
//!
//! ```text
//! server.rs      socket, accept
//!   slots.rs       limits on connections and reloads
//!   connection.rs  one request: bytes in by a deadline, bytes out by a deadline
//!     head.rs        which heads may reach the HTTP library at all (sans-IO)
//!     endpoints.rs   the table of paths, and each response
//!       message.rs        a request as received, and the forms of answers
//!       v1/               `/api/v1`, which changes routes and upstreams
//!       authorization.rs  token, cross-site requests, foreign names (sans-IO)
//!       views/            rules, health and certificates as JSON
//!       live/             the page, and what it and `smolgate top` and `smolgate tail` ask for
//! client.rs      the other side, for `smolgate reload` and its like
//! ```
//!
//! HTTP is that of async-h1, which suits this API but not the data plane. Limits and checks that async-h1 lacks are added
//! around it, so that any request costs little and ends soon. This module does not know the gate: it asks through
//! [`Control`], which the gate implements.

pub mod client;
pub mod server;

mod connection;

mod endpoints;

mod live;
#[cfg_attr(not(feature = "control"), path = "v1/none.rs")]
mod v1;

mod message;

mod authorization;
mod head;
mod slots;
mod views;

pub mod control;

pub use control::{Control, Phase};
pub use server::{Server, may_bind_unix};
pub use slots::Limits;
