//! Upstreams in a plan.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::policy::UpstreamPolicy;
use crate::config::keys::settings;
use crate::config::keys::shape::{DURATION, HELD, IDLE, PLACES, TIMEOUT, TRIES, WISH};
use crate::config::plan::origin::Origin;

settings! {
    /// Limits and timeouts of an upstream.
    UpstreamSettings, UpstreamWritten {
        /// How long a connection to one target may take to open: name, addresses and TLS together.
        connect_timeout: Duration = Duration::from_secs(3), TIMEOUT;
        /// Targets that are tried for one request while no byte of it was sent.
        tries: usize = 2, TRIES;
        /// How long an idle connection is kept. `Keep-Alive: timeout` of a target may shorten it.
        idle_timeout: Duration = Duration::from_secs(4), TIMEOUT;
        /// Idle connections that each worker keeps to an endpoint.
        max_idle: usize = 1024, IDLE;
        /// Connections to each endpoint at the same time, of all workers.
        max_connections: Option<u32> = None, PLACES;
        /// Requests, tunnels and connections that are passed on, at each endpoint at the same time, of all workers.
        max_requests: Option<u32> = None, PLACES;
        /// The time without a byte after which the kernel asks whether a target is still there.
        tcp_keepalive: Duration = Duration::ZERO, DURATION;
        /// Whether HTTP/2 is offered to `https://` targets. Those that do not take it are spoken to in HTTP/1.1.
        http2: bool = false, WISH;
        /// How long a request waits for an endpoint while none is usable or accepts a connection.
        hold: Duration = Duration::ZERO, DURATION;
        /// Requests that wait so at the same time.
        hold_max: usize = 256, HELD;
    }
}

impl UpstreamSettings {
    /// Whether requests or connections at an endpoint have a limit.
    pub fn have_limits(&self) -> bool {
        self.max_requests.is_some() || self.max_connections.is_some()
    }
}

/// Index into `Plan::upstreams`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub usize);

/// A named group of targets with one connection policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// The name, unique among upstreams; a metric label.
    pub name: Arc<str>,
    /// The place where it was written.
    pub origin: Origin,
    /// The targets, used in turn. At least one.
    pub targets: Vec<Target>,
    /// Settings of TLS to `https://` and `h2://` targets.
    pub tls: UpstreamTls,
    /// Limits and timeouts.
    pub settings: UpstreamSettings,
    /// The policy for its endpoints: all addresses of all targets.
    pub policy: UpstreamPolicy,
}

/// A name or an address of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// `http://`, `https://`, `h2c://`, `h2://` or, for TCP, nothing.
    pub scheme: Scheme,
    /// A name, an address or a socket.
    pub host: TargetHost,
    /// The port. If none was written, it is 80 or 443 by the scheme. A Unix socket has 0.
    pub port: u16,
    /// The prefix of the path: empty, or `/base` without a slash at the end.
    pub base_path: Arc<str>,
    /// The share of requests that each of its addresses gets, compared with other targets. At least 1.
    pub weight: u16,
    /// Used only if no other target is usable.
    pub backup: bool,
}

impl Target {
    /// The value of `Host` (RFC 9110, 7.2): `host`, or `host:port` if the port is not that of the scheme. A Unix socket
    /// has no name, so it is `localhost`.
    pub fn authority(&self) -> String {
        match self.host {
            TargetHost::Unix(_) => "localhost".to_owned(),
            _ => self.location(),
        }
    }

    /// Its place: host and port, or the path of its socket.
    pub fn location(&self) -> String {
        match (&self.host, self.scheme, self.port) {
            (TargetHost::Unix(_), ..) => self.host.to_string(),
            (_, scheme, port) if scheme.port() == Some(port) => self.host.to_string(),
            _ => format!("{}:{}", self.host, self.port),
        }
    }

    /// The versions of HTTP that are spoken to it. `http2` is the key of its upstream.
    pub fn versions(&self, http2: bool) -> HttpVersions {
        match self.scheme {
            Scheme::H2c | Scheme::H2 => HttpVersions::Http2,
            Scheme::Https if http2 => HttpVersions::Either,
            Scheme::Http | Scheme::Https | Scheme::Tcp => HttpVersions::Http1,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A path of the file system ends with a colon if another path follows.
        let (scheme, colon) = match (&self.host, self.scheme) {
            (TargetHost::Unix(_), _) => ("", if self.base_path.is_empty() { "" } else { ":" }),
            (_, Scheme::Http) => ("http://", ""),
            (_, Scheme::Https) => ("https://", ""),
            (_, Scheme::H2c) => ("h2c://", ""),
            (_, Scheme::H2) => ("h2://", ""),
            (_, Scheme::Tcp) => ("", ""),
        };
        write!(f, "{scheme}{}{colon}{}", self.location(), self.base_path)
    }
}

/// The protocol of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP/1.1 in the clear.
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// HTTP/2 in the clear, by prior knowledge.
    H2c,
    /// HTTP/2 over TLS.
    H2,
    /// Bytes.
    Tcp,
}

impl Scheme {
    /// Whether TLS is spoken.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Scheme::Https | Scheme::H2)
    }

    /// Whether requests are spoken, and not bytes.
    pub fn is_http(self) -> bool {
        self != Scheme::Tcp
    }

    /// The port if none is written.
    pub fn port(self) -> Option<u16> {
        match self {
            Scheme::Http | Scheme::H2c => Some(80),
            Scheme::Https | Scheme::H2 => Some(443),
            Scheme::Tcp => None,
        }
    }
}

/// The versions of HTTP that a target is spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HttpVersions {
    /// HTTP/1.1 alone.
    #[default]
    Http1,
    /// HTTP/2 alone.
    Http2,
    /// The one that both sides agree on in the handshake of TLS.
    Either,
}

/// A name to resolve, an address, or a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetHost {
    /// A name in lower case.
    Name(Arc<str>),
    /// An address.
    Address(IpAddr),
    /// The absolute path of a Unix socket.
    Unix(Arc<str>),
}

impl fmt::Display for TargetHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetHost::Name(name) => f.write_str(name),
            TargetHost::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            TargetHost::Address(IpAddr::V4(address)) => address.fmt(f),
            TargetHost::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// The address of a target to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetAddress {
    /// An address and a port.
    Ip(SocketAddr),
    /// The path of a Unix socket.
    Unix(Arc<str>),
}

impl From<SocketAddr> for TargetAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for TargetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetAddress::Ip(address) => address.fmt(f),
            TargetAddress::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// Settings of TLS to a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UpstreamTls {
    /// A PEM file of authorities to trust instead of those of the system.
    pub ca: Option<PathBuf>,
    /// Accepts any certificate. Every load warns about it.
    pub insecure_skip_verify: bool,
    /// The name to ask for and to check instead of the target's host.
    pub sni: Option<Arc<str>>,
}
