//! The counters of a listener, an upstream and a rule.

use std::sync::Arc;

use super::counter::{Counter, Histogram, WaitCounters};
use crate::reason::Reason;

/// The label of everything that has no series of its own.
pub const OTHER: &str = "other";

/// Counters of a listener. Bytes are those from and to clients.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    /// Connections accepted.
    pub opened: Counter,
    /// Connections that ended; never more than `opened`.
    pub closed: Counter,
    /// Bytes read from clients.
    pub bytes_in: Counter,
    /// Bytes written to clients.
    pub bytes_out: Counter,
    /// Exchanges that ended, and connections that were dropped before a request was read. The rules' series
    /// add up to this number.
    pub requests: Counter,
    /// Durations of exchanges, from the first byte of the head to the last of the response.
    pub duration: Histogram,
    /// `accept` calls that failed.
    pub accept_errors: Counter,
    /// Streams of HTTP/2 that began.
    pub streams: Counter,
    /// Streams of HTTP/2 that were refused because there were too many in the process.
    pub streams_refused: Counter,
    /// TLS handshakes, in the order of [`Handshake::ALL`].
    pub handshakes: [Counter; Handshake::ALL.len()],
    /// Tunnels: connections that were upgraded or passed through.
    pub tunnels_begun: Counter,
    /// Tunnels that ended, in the order of [`TUNNEL_ENDS`].
    pub(super) tunnels_ended: [Counter; TUNNEL_ENDS.len()],
    /// Not 0 once the listener terminates TLS.
    pub ends_tls: Counter,
    /// `http` or `tcp`. A TCP listener has no exchanges to show.
    pub(super) protocol: &'static str,
}

impl ListenerCounters {
    /// Counts a tunnel that ended, for one of [`TUNNEL_ENDS`]. Only the owning thread may call it.
    pub fn tunnel_ended(&self, reason: Option<Reason>) {
        let end = TUNNEL_ENDS.iter().position(|end| *end == reason);
        debug_assert!(end.is_some(), "{reason:?} ends no tunnel");
        if let Some(end) = end {
            self.tunnels_ended[end].add(1);
        }
    }

    /// Counts a handshake. Only the owning thread may call it.
    pub fn handshake(&self, ended: Handshake) {
        self.handshakes[ended as usize].add(1);
    }
}

/// All ends of a tunnel: `None` if both sides have finished, or one of these reasons.
pub const TUNNEL_ENDS: [Option<Reason>; 5] = [
    None,
    Some(Reason::ClientGone),
    Some(Reason::UpstreamReset),
    Some(Reason::TunnelIdle),
    Some(Reason::ShuttingDown),
];

/// The end of a TLS handshake with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// The connection is encrypted.
    Ok,
    /// A rule passed the connection through; its target terminates TLS.
    Passed,
    /// A rule dropped the connection, without a response.
    Dropped,
    /// A certificate authority asked for an open challenge and has its answer.
    Challenge,
    /// No certificate is for the server name that the client sent.
    UnknownName,
    /// The client sent something else than a client hello.
    NotTls,
    /// The handshake took too long.
    TimedOut,
    /// The client left.
    Gone,
    /// Any other failure, such as no common version or an untrusted certificate.
    Failed,
}

impl Handshake {
    /// Every result, in the order of the counters.
    pub const ALL: [Handshake; 9] = [
        Handshake::Ok,
        Handshake::Passed,
        Handshake::Dropped,
        Handshake::Challenge,
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
            Handshake::Challenge => "challenge",
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
    /// Exchanges that reused an idle connection.
    pub reused: Counter,
    /// Connections that could not be opened.
    pub failed: Counter,
    /// Further tries that were made, and those that were refused because too many were made.
    pub retries: [Counter; 2],
    /// Requests that wait for a place at an endpoint.
    pub waits: WaitCounters,
    /// Requests that are held until an endpoint works.
    pub holds: WaitCounters,
    /// Times from the end of a request to the head of its response.
    pub response: Histogram,
    /// Copies of requests.
    pub mirrored: MirrorCounters,
}

/// Counters of copies of requests.
#[derive(Debug, Default)]
pub struct MirrorCounters {
    /// Copies that were sent.
    pub sent: Counter,
    /// Copies that were dropped.
    pub dropped: Counter,
}

/// Counters of an endpoint.
#[derive(Debug, Default)]
pub struct EndpointCounters {
    /// Requests and tunnels that it got.
    pub begun: Counter,
    /// Those of them that have ended; never more than `begun`.
    pub ended: Counter,
}

impl EndpointCounters {
    /// The name of an endpoint in the table of counters. No name of an upstream has a line end.
    pub(super) fn key(upstream: &str, target: &str) -> Arc<str> {
        format!("{upstream}\n{target}").into()
    }
}

/// The labels of a series of `smolgate_requests_total`.
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
    /// The listener that serves it.
    pub listener: Arc<str>,
    /// Its first name.
    pub name: String,
    /// Seconds since 1970.
    pub expires: i64,
}
