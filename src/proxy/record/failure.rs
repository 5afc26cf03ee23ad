//! Every way an exchange can fail, and the reason of each.

use std::fmt;
use std::io;

use tracing::field::{DisplayValue, display};

use crate::http::Refusal;
use crate::http1::BodyError;
use crate::policy::PolicyState;
use crate::reason::Reason;
use crate::tls::StreamEnd;
use crate::upstream::ConnectError;

/// Why an exchange failed.
#[derive(Debug)]
pub(in crate::proxy) struct Failure {
    pub(in crate::proxy) reason: Reason,
    pub(in crate::proxy) detail: Detail,
}

/// Details beyond the reason. They are formatted only if they are shown.
#[derive(Debug)]
pub(in crate::proxy) enum Detail {
    /// Nothing.
    None,
    /// A message of a parser.
    Text(String),
    /// An error of the system.
    Io(io::Error),
    /// The error of opening a connection.
    Connect(ConnectError),
    /// The status that a policy refuses with, in the place of that of the reason.
    Status(u16),
}

/// Why a TLS connection must not be used for a host (RFC 9110, section 15.5.20).
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) enum Misdirection {
    /// Clients of that host need another client certificate.
    OtherDemands,
    /// Connections for that host are passed on as they are, and this one was decrypted here.
    PassedOn,
}

impl Misdirection {
    fn explain(self) -> &'static str {
        match self {
            Self::OtherDemands => {
                "other client certificates are required for this host than when it was opened"
            }
            Self::PassedOn => {
                "it was decrypted here, and connections for this host are passed on as they are"
            }
        }
    }
}

/// Why a transfer failed, and on which side.
#[derive(Debug)]
pub(in crate::proxy) enum TransferError {
    /// Reading from the sending side failed.
    Read(io::Error),
    /// Writing to the receiving side failed.
    Write(io::Error),
    /// The framing of the body is not valid.
    Body(BodyError),
    /// The body is larger than the rule allows.
    TooLarge,
    /// The state of the encoder is broken.
    Encoding(io::Error),
}

impl Failure {
    /// A failure without details.
    pub(in crate::proxy) fn new(reason: Reason) -> Self {
        Self { reason, detail: Detail::None }
    }

    /// A refusal by a policy.
    pub(in crate::proxy) fn of_policy(reason: Reason, policies: &PolicyState) -> Self {
        Self { reason, detail: policies.refusal_status().map_or(Detail::None, Detail::Status) }
    }

    /// The status of the response.
    pub(in crate::proxy) fn status(&self) -> u16 {
        match self.detail {
            Detail::Status(status) => status,
            _ => self.reason.status(),
        }
    }

    /// The connection must not be used for the host of the request.
    pub(in crate::proxy) fn misdirected(why: Misdirection) -> Self {
        Self { reason: Reason::Misdirected, detail: Detail::Text(why.explain().into()) }
    }

    fn io(reason: Reason, error: io::Error) -> Self {
        Self { reason, detail: Detail::Io(error) }
    }

    /// The client's connection failed, or the client let smolgate wait too long.
    pub(in crate::proxy) fn of_client(error: io::Error) -> Self {
        let stalled = matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::QuotaExceeded);
        Self::io(if stalled { Reason::ClientStalled } else { Reason::ClientGone }, error)
    }

    /// The target's connection failed before its response began.
    pub(in crate::proxy) fn of_target(error: io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::TimedOut => Reason::UpstreamTimeout,
            io::ErrorKind::UnexpectedEof => Reason::UpstreamClosed,
            _ => match StreamEnd::of(&error) {
                Some(StreamEnd::Malformed(_)) => Reason::ResponseMalformed,
                Some(StreamEnd::TooLarge) => Reason::ResponseTooLarge,
                Some(StreamEnd::NoWebSocket) => Reason::UpgradeFailed,
                _ => Reason::UpstreamReset,
            },
        };
        Self::io(reason, error)
    }

    /// The target's connection failed while its response was awaited.
    pub(in crate::proxy) fn of_awaited(error: io::Error) -> Self {
        Self::of_target(passed("response_timeout", error))
    }

    /// The target's connection failed inside the head of its response.
    pub(in crate::proxy) fn inside_response(error: io::Error) -> Self {
        let stalled = error.kind() == io::ErrorKind::TimedOut;
        let reason = if stalled { Reason::UpstreamTimeout } else { Reason::ResponseTruncated };
        Self::io(reason, passed("response_timeout", error))
    }

    /// The detail that the client may see: why its own request is not valid. Details of targets and of the system
    /// stay in the log.
    pub(in crate::proxy) fn public_detail(&self) -> &str {
        match &self.detail {
            Detail::Text(text) if self.reason.is_client_error() => text,
            _ => "",
        }
    }

    /// Whether the end of the request's body is still known, so that another request can follow.
    pub(in crate::proxy) fn keeps_body_framing(&self) -> bool {
        !matches!(self.reason, Reason::RequestBody | Reason::BodyTooLarge | Reason::RequestTimeout)
    }

    /// Whether the target closed its connection instead of answering.
    pub(in crate::proxy) fn is_closed_without_response(&self) -> bool {
        matches!(self.reason, Reason::UpstreamClosed | Reason::UpstreamReset) && self.stream_end().is_none()
    }

    /// Whether the target says that it did not process the request.
    pub(in crate::proxy) fn was_not_processed(&self) -> bool {
        self.stream_end() == Some(StreamEnd::Unprocessed) || self.needs_http1()
    }

    /// Whether the target takes the request over HTTP/1.1 alone. It did not process it.
    pub(in crate::proxy) fn needs_http1(&self) -> bool {
        matches!(self.stream_end(), Some(StreamEnd::NeedsHttp1 | StreamEnd::NoWebSocket))
    }

    /// The end of the stream, if its connection lives.
    fn stream_end(&self) -> Option<StreamEnd> {
        match &self.detail {
            Detail::Io(error) => StreamEnd::of(error),
            _ => None,
        }
    }

    /// No connection could be opened. If `all` of several targets were tried, the upstream is down and a retry makes
    /// sense. Else the reason of the last target says most.
    pub(in crate::proxy) fn of_connects(error: ConnectError, all: bool) -> Self {
        let reason = if all { Reason::NoTarget } else { error.reason };
        Self { reason, detail: Detail::Connect(error) }
    }

    /// A request was not sent to the target.
    pub(in crate::proxy) fn of_upload(broken: TransferError) -> Self {
        match broken {
            TransferError::Read(error) if error.kind() == io::ErrorKind::TimedOut => {
                Self::io(Reason::RequestTimeout, passed(BODY, error))
            }
            TransferError::Read(error) => Self::of_client(error),
            TransferError::Write(error) => Self::of_target(passed(BODY, error)),
            TransferError::Body(error) => {
                Self { reason: Reason::RequestBody, detail: Detail::Text(error.explain().into()) }
            }
            TransferError::TooLarge => Self::new(Reason::BodyTooLarge),
            TransferError::Encoding(error) => Self::io(Reason::Internal, error),
        }
    }

    /// A response was not sent to the client.
    pub(in crate::proxy) fn of_download(broken: TransferError) -> Self {
        match broken {
            TransferError::Read(error) if error.kind() == io::ErrorKind::TimedOut => {
                Self::io(Reason::ResponseStalled, passed(BODY, error))
            }
            TransferError::Read(error) => Self::io(Reason::ResponseTruncated, error),
            TransferError::Write(error) => Self::of_client(error),
            TransferError::Body(BodyError::Truncated) => Self::new(Reason::ResponseTruncated),
            TransferError::Body(error) => {
                Self { reason: Reason::ResponseMalformed, detail: Detail::Text(error.explain().into()) }
            }
            TransferError::TooLarge => Self::new(Reason::Internal),
            TransferError::Encoding(error) => Self::io(Reason::Internal, error),
        }
    }
}

/// The limit on every step of a body.
const BODY: &str = "body_timeout";

/// The error, with the key of the limit if it says that time is over.
fn passed(key: &str, error: io::Error) -> io::Error {
    match error.kind() {
        kind @ io::ErrorKind::TimedOut => io::Error::new(kind, format!("{key} has passed")),
        _ => error,
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { reason: refusal.reason, detail: Detail::Text(refusal.detail) }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self { reason: error.reason, detail: Detail::Connect(error) }
    }
}

impl Detail {
    /// The detail as a field of a line in the log.
    pub(super) fn shown(&self) -> Option<DisplayValue<&Self>> {
        (!matches!(self, Self::None)).then(|| display(self))
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::Io(error) => error.fmt(f),
            Self::Connect(error) => error.fmt(f),
            Self::Status(status) => write!(f, "status {status}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_has_passed_is_named() {
        let late = || io::Error::from(io::ErrorKind::TimedOut);
        for (failure, reason, told) in [
            (Failure::of_awaited(late()), Reason::UpstreamTimeout, "response_timeout has passed"),
            (Failure::inside_response(late()), Reason::UpstreamTimeout, "response_timeout has passed"),
            (
                Failure::of_download(TransferError::Read(late())),
                Reason::ResponseStalled,
                "body_timeout has passed",
            ),
            (
                Failure::of_upload(TransferError::Read(late())),
                Reason::RequestTimeout,
                "body_timeout has passed",
            ),
            (
                Failure::of_upload(TransferError::Write(late())),
                Reason::UpstreamTimeout,
                "body_timeout has passed",
            ),
        ] {
            assert_eq!((failure.reason, failure.detail.to_string().as_str()), (reason, told));
        }
        let closed = Failure::of_awaited(io::ErrorKind::UnexpectedEof.into());
        assert_eq!(closed.reason, Reason::UpstreamClosed);
    }
}
