//! A client, and what it has of its listener.

mod client;

mod unfinished;

mod listener_state;

mod idle;

mod connections;

pub(super) use client::{Client, OpenConnection, peer_address};
pub(super) use connections::{ConnectionHandle, UntilClosed};
pub use idle::Idle;
pub(super) use listener_state::ListenerState;
pub(super) use unfinished::Unfinished;
