//! The journey: from an accepted connection to a target and back.
//!
//! ```text
//!   listener ---- accepts, spawns one small task a connection
//!    `- connection - what comes before requests, then waits for a request without a buffer
//!        |- setup     a PROXY header of a trusted peer; TLS, where it is ended
//!        |- tunnel    a whole connection that is passed on, or what follows 101; stands on its tunnel_context alone
//!        `- exchange - exchange.rs: the life of a request on one screen
//!            |- request   bytes -> what is wanted, which rule, the head for the target
//!            |- hops      what it has passed, and may still pass
//!            |- attempts  a link to a target: an idle one, a new one, the next target
//!            |- transfer  bodies, both ways at once; a body accounts for what was read of it
//!            |- response  the target's head -> the head for the client
//!            `- local_reply what we say ourselves, with a reason
//! ```
//!
//! What they stand on: `generation::ListenerSnapshot`, what a door serves now; `connections`, the connections of a
//! door and whether they may stay; `record`, what came of an exchange or a tunnel, counted and written
//! down; `failure`, all that can go wrong.
//!
//! Runs on the data plane only. Is given generations by `gate`; knows neither files nor signals.

mod attempts;
mod client;
mod connection;
#[cfg(test)]
mod dropped_exchange_tests;
mod exchange;
mod fields;
mod hops;
mod listener;
mod local_reply;
mod record;
mod request;
mod response;
mod setup;
mod transfer;
mod tunnel;

pub use client::Idle;
pub use fields::{Forwarded, write_request_head};
pub use listener::ActiveListener;
pub use setup::handshake_limit;
