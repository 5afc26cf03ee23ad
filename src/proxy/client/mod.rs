//! A client, its request, and `Exchange`, which every phase is given.

mod exchange;
mod finish_body;

mod keep_alive;

mod request;
mod wait;

pub(super) mod balance_key;
mod client;

mod unfinished;

mod listener_state;

mod sole_peer;

mod idle;

mod connections;

pub(super) use client::{Client, OpenConnection, peer_address};
pub(super) use connections::{ConnectionHandle, UntilClosed};
pub(super) use exchange::Exchange;
pub(super) use finish_body::finish_body;
pub use idle::Idle;
pub(super) use keep_alive::KeepAlive;
pub(super) use listener_state::ListenerState;
pub(super) use request::{DRAIN_BYTES, Media, Request};
pub(super) use unfinished::Unfinished;
pub(super) use wait::{IdleEnd, wait_for_request};
