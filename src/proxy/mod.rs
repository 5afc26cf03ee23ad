//! The journey: from an accepted connection to a target and back.
//!
//! ```text
//!   listener ---- accepts, spawns one small task a connection
//!    |- setup - what comes before requests, or in place of them
//!    |   |- proxy_header  the PROXY header of a trusted peer
//!    |   |- handshake     TLS, where it is ended
//!    |   `- passthrough   a whole connection, as it is, to a target and back
//!    `- connection - waits for a request without a buffer
//!        `- exchange - exchange.rs: the life of a request on one screen
//!            |- request   bytes -> what is wanted, which rule, the head for the target
//!            |- hops      what it has passed, and may still pass
//!            |- attempts  a link to a target: an idle one, a new one, the next target
//!            |- transfer  bodies, both ways at once; a body accounts for what was read of it
//!            |- response  the target's head -> the head for the client
//!            |- tunnel    after 101, and for connections that are passed on; stands on its tunnel_context alone
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
#[cfg(test)]
mod dropped_tests;
mod exchange;
mod fields;
mod handshake;
mod hops;
mod listener;
mod local_reply;
mod passthrough;
mod proxy_header;
mod record;
mod request;
mod response;
mod setup;
mod transfer;
mod tunnel;

pub use client::Idle;
pub use fields::{Forwarded, write_request_head};
pub use handshake::handshake_limit;
pub use listener::ActiveListener;
