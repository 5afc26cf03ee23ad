//! Every way an exchange can fail, and the one place that says what a failure is called.

use std::fmt;
use std::io;

use crate::http::Refusal;
use crate::http1::BodyError;
use crate::reason::Reason;
use crate::upstream::ConnectError;

/// Why an exchange did not end as the two sides wanted.
#[derive(Debug)]
pub(in crate::proxy) struct Failure {
    pub(in crate::proxy) reason: Reason,
    pub(in crate::proxy) detail: Detail,
}

/// What is known beyond the reason, kept unformatted until someone reads it.
#[derive(Debug)]
pub(in crate::proxy) enum Detail {
    /// Nothing.
    None,
    /// What a parser says.
    Text(String),
    /// What the system says.
    Io(io::Error),
    /// What opening a connection failed with.
    Connect(ConnectError),
}

/// Why a connection under TLS is not good for a host (RFC 9110, section 15.5.20).
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) enum Misdirection {
    /// Something else is demanded of the clients of that host.
    OtherDemands,
    /// Connections for it are passed on as they are, and this one was decrypted here.
    PassedOn,
}

impl Misdirection {
    fn explain(self) -> &'static str {
        match self {
            Self::OtherDemands => {
                "it was opened for another name, of whose clients other certificates are demanded"
            }
            Self::PassedOn => {
                "it was decrypted here, and connections for this host are passed on as they are"
            }
        }
    }
}

/// What the two sides of a transfer can do wrong.
#[derive(Debug)]
pub(in crate::proxy) enum TransferError {
    /// Reading from the side that sends.
    Read(io::Error),
    /// Writing to the side that receives.
    Write(io::Error),
    /// What was sent is not a body.
    Body(BodyError),
    /// It is larger than the rule allows.
    TooLarge,
}

impl Failure {
    /// A failure of which the reason says everything.
    pub(in crate::proxy) fn new(reason: Reason) -> Self {
        Self { reason, detail: Detail::None }
    }

    /// The connection is not good for the host that is asked for.
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

    /// The target's connection failed before its answer began.
    pub(in crate::proxy) fn of_target(error: io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::TimedOut => Reason::UpstreamTimeout,
            io::ErrorKind::UnexpectedEof => Reason::UpstreamClosed,
            _ => Reason::UpstreamReset,
        };
        Self::io(reason, error)
    }

    /// The target's connection failed inside the head of its answer.
    pub(in crate::proxy) fn inside_response(error: io::Error) -> Self {
        let stalled = error.kind() == io::ErrorKind::TimedOut;
        Self::io(if stalled { Reason::UpstreamTimeout } else { Reason::ResponseTruncated }, error)
    }

    /// What may be shown to the client beside the reason: what is wrong with its own request, and
    /// nothing of ours.
    pub(in crate::proxy) fn public_detail(&self) -> &str {
        match &self.detail {
            Detail::Text(text) if self.reason.is_client_error() => text,
            _ => "",
        }
    }

    /// Whether the rest of the request's body can be told from the next request.
    pub(in crate::proxy) fn keeps_body_framing(&self) -> bool {
        !matches!(self.reason, Reason::RequestBody | Reason::BodyTooLarge | Reason::RequestTimeout)
    }

    /// Whether the target said nothing and went away.
    pub(in crate::proxy) fn is_closed_without_response(&self) -> bool {
        matches!(self.reason, Reason::UpstreamClosed | Reason::UpstreamReset)
    }

    /// No connection could be opened. When `all` of several targets were tried the upstream as a whole
    /// is down, and trying again later makes sense; else the one target's own reason says most.
    pub(in crate::proxy) fn of_connects(error: ConnectError, all: bool) -> Self {
        let reason = if all { Reason::NoTarget } else { error.reason };
        Self { reason, detail: Detail::Connect(error) }
    }

    /// A request body did not get to the target.
    pub(in crate::proxy) fn of_upload(broken: TransferError) -> Self {
        match broken {
            TransferError::Read(error) if error.kind() == io::ErrorKind::TimedOut => {
                Self::io(Reason::RequestTimeout, error)
            }
            TransferError::Read(error) => Self::of_client(error),
            TransferError::Write(error) => Self::of_target(error),
            TransferError::Body(error) => {
                Self { reason: Reason::RequestBody, detail: Detail::Text(error.explain().into()) }
            }
            TransferError::TooLarge => Self::new(Reason::BodyTooLarge),
        }
    }

    /// A response body did not get to the client.
    pub(in crate::proxy) fn of_download(broken: TransferError) -> Self {
        match broken {
            TransferError::Read(error) if error.kind() == io::ErrorKind::TimedOut => {
                Self::io(Reason::ResponseStalled, error)
            }
            TransferError::Read(error) => Self::io(Reason::ResponseTruncated, error),
            TransferError::Write(error) => Self::of_client(error),
            TransferError::Body(BodyError::Truncated) => Self::new(Reason::ResponseTruncated),
            TransferError::Body(error) => {
                Self { reason: Reason::ResponseMalformed, detail: Detail::Text(error.explain().into()) }
            }
            TransferError::TooLarge => Self::new(Reason::Internal),
        }
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

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::Io(error) => error.fmt(f),
            Self::Connect(error) => error.fmt(f),
        }
    }
}
