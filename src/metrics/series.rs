//! What is counted of a listener, an upstream and a rule.

use std::sync::Arc;

use super::counter::{Counter, Histogram};
use crate::reason::Reason;

/// The label of all that has no series of its own.
pub const OTHER: &str = "other";

/// Counters of a listener. Bytes are those from and to clients.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    /// Connections accepted.
    pub opened: Counter,
    /// Connections that ended; never more than were opened.
    pub closed: Counter,
    /// Bytes read from clients.
    pub bytes_in: Counter,
    /// Bytes written to clients.
    pub bytes_out: Counter,
    /// Exchanges that ended, and connections that were dropped before a request was read: what the rules'
    /// series add up to.
    pub requests: Counter,
    /// How long exchanges took, from the first byte of the head to the last of the answer.
    pub duration: Histogram,
    /// `accept` calls that failed.
    pub accept_errors: Counter,
    /// TLS handshakes, in the order of [`Handshake::ALL`].
    pub handshakes: [Counter; Handshake::ALL.len()],
    /// Tunnels: connections that became ones, and those passed on from the start.
    pub tunnels_begun: Counter,
    /// Those that ended, in the order of [`TUNNEL_ENDS`].
    pub(super) tunnels_ended: [Counter; TUNNEL_ENDS.len()],
    /// Not 0 once the listener ends TLS.
    pub ends_tls: Counter,
    /// `http` or `tcp`: a TCP listener has no exchanges to show.
    pub(super) protocol: &'static str,
}

impl ListenerCounters {
    /// Counts a tunnel that ended, for one of [`TUNNEL_ENDS`]. Same rule as [`Counter::add`]: one thread.
    pub fn tunnel_ended(&self, reason: Option<Reason>) {
        let end = TUNNEL_ENDS.iter().position(|end| *end == reason);
        debug_assert!(end.is_some(), "{reason:?} ends no tunnel");
        if let Some(end) = end {
            self.tunnels_ended[end].add(1);
        }
    }

    /// Counts a handshake. Same rule as [`Counter::add`]: one thread.
    pub fn handshake(&self, ended: Handshake) {
        self.handshakes[ended as usize].add(1);
    }
}

/// How tunnels end: both sides have finished, or it is for one of these reasons. There are no others.
pub const TUNNEL_ENDS: [Option<Reason>; 5] = [
    None,
    Some(Reason::ClientGone),
    Some(Reason::UpstreamReset),
    Some(Reason::TunnelIdle),
    Some(Reason::ShuttingDown),
];

/// How a TLS handshake with a client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// The connection is encrypted.
    Ok,
    /// A rule passed the connection on: whoever ends TLS is somebody else.
    Passed,
    /// A rule dropped the connection, without an answer.
    Dropped,
    /// No certificate has the name that the client asked for.
    UnknownName,
    /// What the client sent first was no client hello.
    NotTls,
    /// It took too long.
    TimedOut,
    /// The client left.
    Gone,
    /// Anything else, such as no version in common, or a certificate that is not trusted.
    Failed,
}

impl Handshake {
    /// Every way, in the order of the counters.
    pub const ALL: [Handshake; 8] = [
        Handshake::Ok,
        Handshake::Passed,
        Handshake::Dropped,
        Handshake::UnknownName,
        Handshake::NotTls,
        Handshake::TimedOut,
        Handshake::Gone,
        Handshake::Failed,
    ];

    /// The label `result`.
    pub fn label(self) -> &'static str {
        match self {
            Handshake::Ok => "ok",
            Handshake::Passed => "passed",
            Handshake::Dropped => "dropped",
            Handshake::UnknownName => "unrecognized_name",
            Handshake::NotTls => "not_tls",
            Handshake::TimedOut => "timeout",
            Handshake::Gone => "client_gone",
            Handshake::Failed => "failed",
        }
    }
}

/// Counters of an upstream.
#[derive(Debug, Default)]
pub struct UpstreamCounters {
    /// Connections opened.
    pub opened: Counter,
    /// Exchanges that found an idle connection.
    pub reused: Counter,
    /// Connections that could not be opened.
    pub failed: Counter,
}

/// What tells one series of `smolgate_requests_total` from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SeriesKey {
    pub(super) listener: Arc<str>,
    pub(super) rule: Arc<str>,
    pub(super) method: &'static str,
    /// 0 is `other`.
    pub(super) code: u16,
}

/// A certificate that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateExpiry {
    /// The listener that shows it.
    pub listener: Arc<str>,
    /// Its first name.
    pub name: String,
    /// Seconds since 1970.
    pub expires: i64,
}
