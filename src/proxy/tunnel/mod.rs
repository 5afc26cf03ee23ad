//! Connections whose bytes pass both ways and are not looked at.

mod passthrough;
mod tunnel;

mod relay;

pub(super) use passthrough::{open, serve};
pub(super) use tunnel::{Done, Tunnel, of_upgrade};
