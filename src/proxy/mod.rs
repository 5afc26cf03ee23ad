//! The journey: from an accepted connection to a target and back.
//!
//! ```text
//!   door ---- accepts, spawns one small task a connection
//!    |- arrival - what comes before requests, or in place of them
//!    |   |- introduction  the PROXY header of a trusted peer
//!    |   |- handshake     TLS, where it is ended
//!    |   `- passthrough   a whole connection, as it is, to a target and back
//!    `- connection - waits for a request without a buffer
//!        `- exchange - http.rs: the life of a request on one screen
//!            |- request   bytes -> what is wanted, which rule, the head for the target
//!            |- hops      what it has passed, and may still pass
//!            |- dispatch  a link to a target: an idle one, a new one, the next target
//!            |- transfer  bodies, both ways at once; a body accounts for what was read of it
//!            |- reply     the target's head -> the head for the client
//!            |- tunnel    after 101, and for connections that are passed on; stands on its ground alone
//!            `- answer    what we say ourselves, with a reason
//! ```
//!
//! What they stand on: `site`, what a door serves now, of a `generation`; `guests`, the connections of a
//! door and whether they may stay; `record`, what came of an exchange or a tunnel, counted and written
//! down; `failure`, all that can go wrong.
//!
//! Runs on the data plane only. Is given generations by `gate`; knows neither files nor signals.

mod access;
mod answer;
mod arrival;
mod body;
mod connection;
mod date;
mod dispatch;
mod door;
#[cfg(test)]
mod dropped_exchange_tests;
#[cfg(test)]
mod dropped_tests;
mod failure;
mod fields;
mod generation;
mod ground;
mod guests;
mod handshake;
mod hops;
mod http;
mod idle;
mod introduction;
mod passthrough;
mod permits;
mod record;
mod reply;
mod request;
mod site;
mod transfer;
mod tunnel;

pub use date::Clock;
pub use door::Door;
pub use fields::{Forwarded, write_request_head};
pub use generation::{Generation, Lease, terminators};
pub use handshake::handshake_limit;
pub use idle::Idle;
pub use permits::Permits;
pub use site::{Site, Upstreams, WorkerState};
