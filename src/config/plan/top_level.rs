//! The whole of a plan, and its global settings.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::acme::Orders;
use super::bind::Bind;
use super::control::{Mode, OverlayPlace};
use super::listener::Listener;
use super::origin::Origin;
use super::plugins::Plugin;
use super::upstream::Upstream;
use crate::config::keys::shape::{CONNECTIONS, DURATION, FLAG, WORKERS};
use crate::config::keys::{Form, Secret, Shape, ValueError, settings};

settings! {
    /// Settings of the whole process.
    GlobalSettings, GlobalWritten {
        /// The least severe level of log lines. The command line and the environment come before it.
        log_level: LogLevel = LogLevel::Info, LOG_LEVEL;
        /// The form of log lines: for a person, or one JSON object a line.
        log_format: LogFormat = LogFormat::Human, LOG_FORMAT;
        /// Threads that serve. Without it, one per core.
        workers: Option<usize> = None, WORKERS;
        /// Client connections of the whole process at once. At the limit, the one that has been idle longest makes room.
        max_connections: usize = 10_000, CONNECTIONS;
        /// Streams of HTTP/2 of the whole process at once. Beyond the limit, a new stream is refused, and its client may
        /// send the request again.
        max_streams: usize = 20_000, CONNECTIONS;
        /// The time that a listener that closes waits for its exchanges and tunnels. 0 closes at once.
        shutdown_timeout: Duration = Duration::from_secs(5), DURATION;
        /// Whether a change of the files causes a reload. SMOLGATE_WATCH comes before it.
        watch: bool = false, FLAG;
    }
}

/// A whole, valid configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The files that it was read from, in order.
    pub files: Vec<PathBuf>,
    /// Settings of the whole process.
    pub settings: GlobalSettings,
    /// The access log. `None` if it is off.
    pub access_log: Option<AccessLog>,
    /// The place where the access log was written, if a file or a variable has it.
    pub access_log_origin: Option<Origin>,
    /// The internal API.
    pub internal_api: InternalApi,
    /// How certificates are ordered. `None` if none is.
    pub orders: Option<Orders>,
    /// Listeners in written order. Names are unique.
    pub listeners: Vec<Listener>,
    /// The upstreams. Rules and TCP listeners refer to them by `UpstreamId`. An upstream that a `target:` made
    /// has the name of its first target.
    pub upstreams: Vec<Upstream>,
    /// The plugins that rules ask, and others that run. Names are unique.
    pub plugins: Vec<Plugin>,
    /// Services that are not served as they ask to be, because something about them is wrong. If their host is
    /// known, it answers 503.
    pub rejected_services: usize,
    /// The mode, if a file has modes.
    pub mode: Option<Mode>,
}

impl Plan {
    /// The plan of a gate that has none yet. It has no listeners.
    pub fn empty() -> Plan {
        Plan {
            files: Vec::new(),
            settings: GlobalSettings {
                max_connections: 0,
                max_streams: 0,
                shutdown_timeout: Duration::ZERO,
                ..GlobalSettings::default()
            },
            access_log: None,
            access_log_origin: None,
            internal_api: InternalApi { bind: InternalBind::Tcp(Bind::Any(0)), token: None, edits: None },
            orders: None,
            listeners: Vec::new(),
            upstreams: Vec::new(),
            plugins: Vec::new(),
            rejected_services: 0,
            mode: None,
        }
    }
}

/// The least severe level that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

const LOG_LEVEL: Shape<LogLevel> = Shape {
    parse: |text| match text {
        "trace" => Ok(LogLevel::Trace),
        "debug" => Ok(LogLevel::Debug),
        // `log` is an old name.
        "info" | "log" => Ok(LogLevel::Info),
        "warn" => Ok(LogLevel::Warn),
        "error" => Ok(LogLevel::Error),
        _ => Err(ValueError::hint("is not a log level", "write trace, debug, info, warn or error")),
    },
    show: |level| Some(format!("{level:?}").to_ascii_lowercase()),
    form: Form::Words(&["trace", "debug", "info", "warn", "error", "log"]),
};

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// For a person at a terminal.
    Human,
    /// One JSON object per line.
    Json,
}

const LOG_FORMAT: Shape<LogFormat> = Shape {
    parse: |text| match text {
        "human" => Ok(LogFormat::Human),
        "json" => Ok(LogFormat::Json),
        _ => Err(ValueError::hint("is not a log format", "write human or json")),
    },
    show: |format| Some(format!("{format:?}").to_ascii_lowercase()),
    form: Form::Words(&["human", "json"]),
};

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
    /// The place of the changes that it makes. `None`: it makes none.
    pub edits: Option<OverlayPlace>,
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
