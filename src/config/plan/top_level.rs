//! The whole of a plan, and its global settings.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::bind::Bind;
use super::listener::Listener;
use super::upstream::Upstream;

/// A whole, valid configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The files that it was read from, in order.
    pub files: Vec<PathBuf>,
    /// Settings of the logs.
    pub log: Log,
    /// Number of worker threads, at least 1. `None` for one per core.
    pub workers: Option<usize>,
    /// Client connections of the whole process. Further ones wait in the accept queue.
    pub max_connections: usize,
    /// The time for draining. Connections that are left then are closed.
    pub shutdown_timeout: Duration,
    /// The internal API.
    pub internal_api: InternalApi,
    /// Listeners in written order. Names are unique.
    pub listeners: Vec<Listener>,
    /// The upstreams. Rules and TCP listeners refer to them by `UpstreamId`. An upstream that a `target:` made
    /// has the name of its first target.
    pub upstreams: Vec<Upstream>,
    /// Whether a change of the files causes a reload: `watch`. `SMOLGATE_WATCH` comes before it.
    pub watch: bool,
    /// Services that are not served as they ask to be, because something about them is wrong. If their host is
    /// known, it answers 503.
    pub rejected_services: usize,
}

impl Plan {
    /// The plan of a gate that has none yet. It has no listeners.
    pub fn empty() -> Plan {
        Plan {
            files: Vec::new(),
            log: Log { level: LogLevel::Info, format: LogFormat::Human, access: None },
            workers: None,
            max_connections: 0,
            shutdown_timeout: Duration::ZERO,
            internal_api: InternalApi { bind: InternalBind::Tcp(Bind::Any(0)), token: None },
            listeners: Vec::new(),
            upstreams: Vec::new(),
            watch: false,
            rejected_services: 0,
        }
    }
}

/// A string that is never shown: `Debug` and every view print `[redacted]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Arc<str>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Settings of the logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `log_level`. The command line and the environment come before it.
    pub level: LogLevel,
    /// `log_format`.
    pub format: LogFormat,
    /// `access_log`. `None` if it is off.
    pub access: Option<AccessLog>,
}

/// The least severe level that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// Events for developers.
    Debug,
    /// Events for operators; the default.
    Info,
    /// Events that need attention, such as every local reply of the 5xx class.
    Warn,
    /// Events that stopped something.
    Error,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person at a terminal.
    Human,
    /// One JSON object per line.
    Json,
}

/// Settings of the access log, which has one line per exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Standard output or a file.
    pub to: AccessLogTo,
    /// The form of a line.
    pub format: AccessLogFormat,
}

/// The output of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLogTo {
    /// Standard output.
    Stdout,
    /// A file that is appended to. `USR1` opens it again.
    File(PathBuf),
}

/// The form of an access log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// One JSON object per line.
    Json,
    /// The combined log format of Apache and nginx.
    Combined,
    /// For a person at a terminal.
    Human,
}

/// The internal API: reload, metrics, health, views.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalApi {
    /// The address that it listens on.
    pub bind: InternalBind,
    /// The token. If set, `Authorization: Bearer` must carry it, except at the health endpoints.
    pub token: Option<Secret>,
}

impl InternalApi {
    /// Whether other machines can reach the API without a token.
    pub fn is_open(&self) -> bool {
        let is_public = match &self.bind {
            InternalBind::Tcp(Bind::Any(_)) => true,
            InternalBind::Tcp(Bind::Address(address)) => !address.ip().to_canonical().is_loopback(),
            InternalBind::Unix(_) => false,
        };
        is_public && self.token.is_none()
    }
}

/// The address of the internal API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InternalBind {
    /// A TCP address; by default `127.0.0.1:42007`.
    Tcp(Bind),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for InternalBind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InternalBind::Tcp(bind) => bind.fmt(f),
            InternalBind::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
