//! A client, and what it has of its listener.

mod finish_body;

mod request;
mod wait;

mod client;

mod unfinished;

mod listener_state;

mod idle;

mod connections;

pub(super) use client::{Client, OpenConnection, peer_address};
pub(super) use connections::UntilClosed;
pub(super) use finish_body::finish_body;
pub use idle::Idle;
pub(super) use listener_state::ListenerState;
pub(super) use request::{DRAIN_BYTES, Media, Request, keeps_connection};
pub(super) use unfinished::Unfinished;
pub(super) use wait::{IdleEnd, wait_for_request};
