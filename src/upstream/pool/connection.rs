//! A connection to a target.

use crate::config::plan::TargetAddress;
use crate::mux::Transport;
use crate::tls::Input;
use crate::upstream::limits::OpenConnection;
use crate::upstream::limits::OpenRequest;

/// A connection to a target, with the bytes read from it. It is boxed, because it moves for every request and
/// then only a pointer moves.
pub struct TargetConnection {
    /// The connection.
    pub stream: Transport,
    /// Bytes that the target sent and no reader has taken yet.
    pub input: Input,
    /// The target's address.
    pub address: TargetAddress,
    /// Whether it has served an exchange. Then the target may be closing it at this moment.
    pub reused: bool,
    /// Whether it was opened for this request, and is no stream of one that was there.
    pub(in crate::upstream) is_new: bool,
    /// Counts the request or tunnel at the endpoint.
    pub(in crate::upstream) counted: Option<OpenRequest>,
    /// Counts the connection at the endpoint, if their number has a limit. It is the last field: the connection is closed
    /// before another one may be opened.
    pub(in crate::upstream) place: Option<OpenConnection>,
}
