//! The life of a connection and of a request, from an accepted socket to a target and back.
//!
//! ```text
//!   listener          accepts, and spawns one small task for each connection
//!   connection        sets it up, then waits for requests without a buffer and serves them in turn
//!    |- setup         before the first request: a PROXY header, TLS
//!    `- exchange      the life of a request, on one screen
//!        |- decision     from the bytes of a head to an act: the rule and its action
//!        |- forward      to a target and back: attempts, the heads for both sides, both messages at once
//!        |- file_reply   files of a folder
//!        |- plugins      questions for other processes about requests and responses
//!        |- local_reply  responses of smolgate's own: failures, redirects, fixed responses
//!        `- tunnel       bytes both ways, not parsed: after 101, or a whole connection
//!   edits             what a rule changes in the heads of messages
//!   http2             connections whose streams are served at once, each like a connection with one request
//!   client            a client, its request, and `Exchange`, which every phase is given
//!   transfer          bodies on their way, and how much of them was read
//!   record            exchanges and connections, counted and logged; every way to fail
//! ```
//!
//! Modules stand in the order of their use. Below all of them is `generation::ListenerSnapshot`: a listener of the
//! generation in force.
//!
//! This code runs on the data plane only. `gate` gives it generations. It knows no files of the configuration, and no
//! signals.

mod listener;

mod connection;

mod exchange;

mod decision;
mod setup;

mod forward;

#[cfg_attr(not(feature = "files"), path = "no_file_reply.rs")]
mod file_reply;

mod tunnel;

#[cfg_attr(not(feature = "plugins"), path = "no_plugins.rs")]
mod plugins;

mod local_reply;

mod edits;

#[cfg_attr(not(feature = "http2"), path = "no_http2.rs")]
mod http2;

mod client;

mod transfer;

mod record;

pub use client::Idle;
pub use forward::{Forwarded, write_request_head};
pub use listener::ActiveListener;
pub use setup::handshake_limit;

#[cfg(test)]
mod dropped_exchange_tests;
