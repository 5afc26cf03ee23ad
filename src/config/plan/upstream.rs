//! What a plan says of an upstream.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::origin::Origin;

/// Index into [`Plan::upstreams`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub usize);

/// A named group of targets with one connection policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// Unique among upstreams; a metric label.
    pub name: Arc<str>,
    /// Where it was written.
    pub origin: Origin,
    /// Used in turn. At least one.
    pub targets: Vec<Target>,
    /// How TLS to `https://` targets is done.
    pub tls: UpstreamTls,
    /// How long a connection may take to open, TLS included.
    pub connect_timeout: Duration,
    /// How many targets are tried for one exchange, while nothing was sent. At least 1.
    pub tries: usize,
    /// How long an idle connection is kept; `Keep-Alive: timeout` may shorten it.
    pub idle_timeout: Duration,
}

/// One address of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// `http://`, `https://` or, for TCP, nothing.
    pub scheme: Scheme,
    /// A name or an address.
    pub host: TargetHost,
    /// The port; 80 or 443 when the scheme gave it.
    pub port: u16,
    /// What is put before the path: empty, or `/base` without a slash at the end.
    pub base_path: Arc<str>,
}

impl Target {
    /// `host`, or `host:port` when the port is not the scheme's own: what `Host` says (RFC 9110, 7.2).
    pub fn authority(&self) -> String {
        match (self.scheme, self.port) {
            (Scheme::Http, 80) | (Scheme::Https, 443) => self.host.to_string(),
            _ => format!("{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http://",
            Scheme::Https => "https://",
            Scheme::Tcp => "",
        };
        write!(f, "{scheme}{}{}", self.authority(), self.base_path)
    }
}

/// How a target is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP/1.1 in the clear.
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// Bytes.
    Tcp,
}

/// A name to resolve, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetHost {
    /// A name, lower case.
    Name(Arc<str>),
    /// An address.
    Address(IpAddr),
}

impl fmt::Display for TargetHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetHost::Name(name) => f.write_str(name),
            TargetHost::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            TargetHost::Address(IpAddr::V4(address)) => address.fmt(f),
        }
    }
}

/// How TLS to a target is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UpstreamTls {
    /// A PEM file of authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Accept any certificate. Said at every load with a warning.
    pub insecure_skip_verify: bool,
    /// The name to ask for and to check instead of the target's host.
    pub sni: Option<Arc<str>>,
}
