//! What a plan says of a rule.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::origin::Origin;
use super::upstream::UpstreamId;

/// A match and one action.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// A metric label, and the name in views: `name:`, or the match in short, such as
    /// `admin.localhost/users`.
    pub name: Arc<str>,
    /// Where it was written.
    pub origin: Origin,
    /// Any of these; empty means any host.
    pub hosts: Vec<HostPattern>,
    /// Whole segments, starting with `/`, without a slash at the end; `/` alone matches every path.
    pub path_prefix: Arc<str>,
    /// Any of these, upper case; empty means any method.
    pub methods: Vec<Arc<str>>,
    /// Requests in the clear stay here where the listener has `redirect_to_https`.
    pub in_the_clear: bool,
    /// What is done.
    pub action: Action,
}

/// A host that a rule asks for: lower case, without a port, without a dot at the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host.
    Exact(Arc<str>),
    /// `*.example.com`: exactly one label before this suffix, which is kept as `example.com`.
    Wildcard(Arc<str>),
}

impl HostPattern {
    /// `*.example.com` for `a.example.com`, which it takes as well; a wildcard has none.
    pub fn wildcard_over(&self) -> Option<HostPattern> {
        match self {
            HostPattern::Exact(host) => {
                host.split_once('.').map(|(_, suffix)| HostPattern::Wildcard(suffix.into()))
            }
            HostPattern::Wildcard(_) => None,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Exact(host) => f.write_str(host),
            HostPattern::Wildcard(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

/// What a matched rule does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Forward to an upstream.
    Proxy(Proxy),
    /// Answer with a `Location`.
    Redirect(Redirect),
    /// Answer with what was written.
    Respond(Respond),
    /// Pass the whole connection on, byte for byte. Under TLS the name asked for decides, before a byte
    /// is answered; in the clear the first request does, and goes along unchanged.
    Pass(Pass),
    /// Close the connection without an answer. Under TLS before a byte is answered, if the rule asks for
    /// no more than a name.
    Drop,
}

/// Pass the whole connection on: what a rule says with `pass`, and all that a TCP listener does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Where to; its targets have no scheme.
    pub upstream: UpstreamId,
    /// Tell the target who the client is, before the client's first byte.
    pub send_proxy_protocol: Option<ProxyProtocol>,
    /// How long neither side may say anything.
    pub idle_timeout: Duration,
}

/// Versions of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// Forward to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where to.
    pub upstream: UpstreamId,
    /// Forward the client's Host instead of the target's authority.
    pub pass_host: bool,
    /// Take `path_prefix` off the path before forwarding; an empty rest becomes `/`.
    pub strip_path_prefix: bool,
    /// Bytes a request body may have; `None`: no limit.
    pub max_body: Option<u64>,
    /// How long a body, either way, may make no progress.
    pub body_timeout: Duration,
    /// How long the upstream may be silent between the request and the response's head.
    pub response_timeout: Duration,
    /// How long an upgraded connection may be silent both ways.
    pub tunnel_timeout: Duration,
}

/// Answer with a `Location`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// An absolute URL or a path. Path and query of the request are kept when it is only an origin
    /// (`https://example.com`).
    pub to: Arc<str>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// Answer with what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respond {
    /// 200 to 599.
    pub status: u16,
    /// Fields, in written order; framing fields are not among them.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// The body; empty for 204 and 304.
    pub body: Arc<str>,
}
