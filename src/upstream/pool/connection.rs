//! A connection to a target.

use std::net::SocketAddr;

use crate::tls::{Input, Stream};

/// A connection to a target, and what was read from it. Lives in a box: it is handed on for every request, and a
/// pointer is all that moves then.
pub struct TargetConnection {
    /// The connection.
    pub stream: Stream,
    /// Bytes the target sent that nobody has taken yet.
    pub input: Input,
    /// The target's address.
    pub address: SocketAddr,
    /// The version of the name's answer that its pool went by when it was opened or handed out.
    pub(super) name_version: u64,
    /// It served an exchange before: the target may be closing it at this moment.
    pub reused: bool,
}
