//! The record of a connection that ends because its client is at fault.

use std::net::IpAddr;

use tracing::Level;

use crate::generation::ListenerSnapshot;
use crate::http2::{ConnectionError, ErrorCode};
use crate::log::repeats::{self, Admitted, Subject};
use crate::reason::Reason;

/// Counts and logs the fault. Abuse is a warning, because other clients pay for it.
pub(super) fn log(snapshot: &ListenerSnapshot, peer: IpAddr, error: &ConnectionError) {
    let is_abuse = error.code == ErrorCode::EnhanceYourCalm;
    let reason = if is_abuse { Reason::Http2Abuse } else { Reason::Http2Malformed };
    snapshot.state.counters.local_reply(reason);
    let (message, listener) = ("HTTP/2 connection closed", &snapshot.listener().name);
    let (code, client) = (reason.code(), peer);
    if !is_abuse {
        tracing::debug!(reason = code, detail = %error, %client, %listener, "{message}");
        return;
    }
    let subject = Subject { level: Level::WARN, message, reason, listener: listener.clone(), upstream: None };
    if let Some(Admitted(repeated)) = repeats::admit(subject) {
        tracing::warn!(reason = code, detail = %error, %client, %listener, repeated, "{message}");
    }
}
