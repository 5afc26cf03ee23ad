//! Tunnels: bytes are relayed both ways and not parsed, after 101 or on a whole connection.

mod passthrough;
mod tunnel;

mod relay;

pub(super) use passthrough::{open, serve};
pub(super) use tunnel::{Done, Tunnel, of_upgrade};
