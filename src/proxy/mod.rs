//! The journey: from an accepted connection to a target and back.
//!
//! ```text
//!   listener ---- accepts, spawns one small task a connection
//!    `- connection - what comes before requests, then waits for a request without a buffer
//!        |- setup     a PROXY header of a trusted peer; TLS, where it is ended
//!        |- tunnel    a whole connection that is passed on, or what follows 101; stands on its tunnel_context alone
//!        `- exchange - exchange.rs: the life of a request on one screen
//!            |- decision    bytes -> what is wanted, which rule, what is to be done
//!            |- forward     a link to a target; the head for it, and the head for the client
//!            |- local_reply what we say ourselves, with a reason
//!            `- transfer    bodies, both ways at once; a body accounts for what was read of it
//! ```
//!
//! What they stand on: `generation::ListenerSnapshot`, what a door serves now; `connections`, the connections of a
//! door and whether they may stay; `record`, what came of an exchange or a tunnel, counted and written
//! down; `failure`, all that can go wrong.
//!
//! Runs on the data plane only. Is given generations by `gate`; knows neither files nor signals.

mod listener;

mod connection;

mod exchange;

mod decision;
mod setup;

mod forward;

mod local_reply;
mod tunnel;

mod client;

mod transfer;

mod record;

pub use client::Idle;
pub use forward::{Forwarded, write_request_head};
pub use listener::ActiveListener;
pub use setup::handshake_limit;

#[cfg(test)]
mod dropped_exchange_tests;
