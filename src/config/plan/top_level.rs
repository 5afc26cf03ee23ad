//! The whole of a plan, and what is said once for all of it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Listener, Upstream};

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

/// Where a thing was written. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, as it was named on the command line.
    pub file: Arc<str>,
    /// Line of its first character.
    pub line: u32,
    /// Column of its first character, in characters.
    pub column: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
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

/// A TCP address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bind {
    /// `:port`: every address of the machine, IPv6 and IPv4 on one socket where the system can.
    Any(u16),
    /// One address.
    Address(SocketAddr),
}

impl Bind {
    /// The port; 0 asks the system for a free one.
    pub fn port(self) -> u16 {
        match self {
            Bind::Any(port) => port,
            Bind::Address(address) => address.port(),
        }
    }

    /// Whether one socket would take connections meant for the other.
    pub fn overlaps(self, other: Bind) -> bool {
        let on_one_port = self.port() == other.port();
        on_one_port
            && match (self, other) {
                (Bind::Any(_), _) | (_, Bind::Any(_)) => true,
                (Bind::Address(a), Bind::Address(b)) => {
                    let dual = |ip: IpAddr| ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
                    let (a, b) = (a.ip(), b.ip());
                    // `[::]` takes IPv4 too on most systems.
                    a == b
                        || dual(a)
                        || dual(b)
                        || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified()))
                }
            }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bind::Any(port) => write!(f, ":{port}"),
            Bind::Address(address) => address.fmt(f),
        }
    }
}
