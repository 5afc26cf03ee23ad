//! The whole of a plan, and what is said once for all of it.

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
    /// The files it was read from, in order.
    pub files: Vec<PathBuf>,
    /// What is logged, and how.
    pub log: Log,
    /// Number of worker threads; at least 1. `None`: one per core.
    pub workers: Option<usize>,
    /// Client connections held at once by the whole process; further ones wait in the accept queue.
    pub max_connections: usize,
    /// How long draining may take before what is left is closed.
    pub shutdown_timeout: Duration,
    /// The internal API.
    pub internal_api: InternalApi,
    /// Listeners, in written order; names are unique.
    pub listeners: Vec<Listener>,
    /// Upstreams; rules and TCP listeners refer to them by [`UpstreamId`]. Those that a `target:`
    /// made stand here too, named by their first target.
    pub upstreams: Vec<Upstream>,
    /// Whether a change of the files is to be a reload: `watch`; `SMOLGATE_WATCH` comes before it.
    pub watch: bool,
    /// Services of compose files that are not served as they ask to be, because something about them
    /// is wrong. Where their host is known it answers 503.
    pub rejected_services: usize,
}

impl Plan {
    /// The plan of a gate that has none yet: nothing is listened on.
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

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `log_level`; the command line and the environment come before it.
    pub level: LogLevel,
    /// `log_format`.
    pub format: LogFormat,
    /// `access_log`; `None` is off.
    pub access: Option<AccessLog>,
}

/// The least severe level that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// What a developer asks for.
    Debug,
    /// What an operator wants to know; the default.
    Info,
    /// What needs attention: every own answer of the 5xx class.
    Warn,
    /// What stopped something.
    Error,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person at a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

/// Where one line per exchange goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Standard output or a file.
    pub to: AccessLogTo,
    /// The form of a line.
    pub format: AccessLogFormat,
}

/// The place access log lines are written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLogTo {
    /// Standard output.
    Stdout,
    /// A file, appended to; `USR1` opens it again.
    File(PathBuf),
}

/// The form of an access log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// One JSON object a line.
    Json,
    /// The combined log format of Apache and nginx.
    Combined,
}

/// The internal API: reload, metrics, health, views.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalApi {
    /// Where it listens.
    pub bind: InternalBind,
    /// When set, `Authorization: Bearer` must carry it everywhere but at the health endpoints.
    pub token: Option<Secret>,
}

impl InternalApi {
    /// Whether other machines can reach it, and nothing asks them for a token.
    pub fn is_open(&self) -> bool {
        let is_public = match &self.bind {
            InternalBind::Tcp(Bind::Any(_)) => true,
            InternalBind::Tcp(Bind::Address(address)) => !address.ip().to_canonical().is_loopback(),
            InternalBind::Unix(_) => false,
        };
        is_public && self.token.is_none()
    }
}

/// Where the internal API listens.
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
