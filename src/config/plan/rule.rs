//! Rules in a plan.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::origin::Origin;
use super::upstream::UpstreamId;
use crate::config::keys::settings;
use crate::config::keys::shape::{BODY_LIMIT, TIMEOUT};
use crate::http::idn;

/// A match and one action.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The name in metrics and views: `name:`, or the match in short, such as `admin.localhost/users`.
    pub name: Arc<str>,
    /// The place where it was written.
    pub origin: Origin,
    /// The hosts, any of which matches. Empty for any host.
    pub hosts: Vec<HostPattern>,
    /// The path prefix in whole segments. It starts with `/` and ends without one. `/` alone matches every path.
    pub path_prefix: Arc<str>,
    /// The methods in upper case, any of which matches. Empty for any method.
    pub methods: Vec<Arc<str>>,
    /// Requests in the clear come to this rule in spite of `redirect_to_https`.
    pub in_the_clear: bool,
    /// Whether its exchanges and connections have lines in the access log, if there is one.
    pub access_log: bool,
    /// The action.
    pub action: Action,
}

/// Everything of a rule that a request has to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Matcher<'a> {
    /// [`Rule::hosts`].
    pub hosts: &'a [HostPattern],
    /// [`Rule::path_prefix`].
    pub path_prefix: &'a str,
    /// [`Rule::methods`].
    pub methods: &'a [Arc<str>],
}

impl Rule {
    /// Everything that a request has to match. Code that compares or shows it names every field, so that the
    /// compiler finds it when there is another.
    pub fn matcher(&self) -> Matcher<'_> {
        let Rule {
            name: _,
            origin: _,
            hosts,
            path_prefix,
            methods,
            in_the_clear: _,
            access_log: _,
            action: _,
        } = self;
        Matcher { hosts, path_prefix, methods }
    }
}

/// A host of a rule: lower case, without a port, without a dot at the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host.
    Exact(Arc<str>),
    /// `*.example.com`: exactly one label before this suffix, which is kept as `example.com`.
    Wildcard(Arc<str>),
}

impl HostPattern {
    /// The pattern with its name in Unicode, if that is another form.
    pub fn unicode(&self) -> Option<String> {
        match self {
            HostPattern::Exact(host) => idn::to_unicode(host),
            HostPattern::Wildcard(suffix) => idn::to_unicode(suffix).map(|suffix| format!("*.{suffix}")),
        }
    }

    /// The wildcard that takes this host as well: `*.example.com` for `a.example.com`. A wildcard has none.
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

/// The action of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Forward to an upstream.
    Proxy(Proxy),
    /// Respond with a `Location`.
    Redirect(Redirect),
    /// Respond with a fixed body.
    Respond(Respond),
    /// Pass the whole connection on, byte for byte. Under TLS the name in the client hello decides, before a byte
    /// is sent to the client. In the clear the first request decides, and is passed on unchanged.
    Pass(Pass),
    /// Close the connection without a response. Under TLS this happens before a byte is sent, if the rule matches
    /// by the name alone.
    Drop,
}

/// Passing a whole connection on: the action `pass`, and the one action of a TCP listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The upstream. Its targets have no scheme.
    pub upstream: UpstreamId,
    /// The version of the PROXY header that is sent to the target before the client's first byte.
    pub send_proxy_protocol: Option<ProxyProtocol>,
    /// The time after which a connection that is silent both ways is closed.
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

impl ProxyProtocol {
    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            ProxyProtocol::V1 => "v1",
            ProxyProtocol::V2 => "v2",
        }
    }
}

/// Forwarding to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The upstream.
    pub upstream: UpstreamId,
    /// Forward the client's Host instead of the target's authority.
    pub pass_host: bool,
    /// Remove `path_prefix` from the path before forwarding. An empty rest becomes `/`.
    pub strip_path_prefix: bool,
    /// Limits and timeouts, of the rule or of its listener.
    pub limits: Limits,
}

settings! {
    /// Limits and timeouts of a rule that forwards. A listener may have them for all of its rules.
    Limits, LimitsWritten {
        /// Bytes of a request's body; else 413. 0 allows none.
        max_body: Option<u64> = None, BODY_LIMIT;
        /// How long a body, in either direction, may make no progress.
        body_timeout: Duration = Duration::from_secs(60), TIMEOUT;
        /// How long the target may be silent between the request and the head of its response.
        response_timeout: Duration = Duration::from_secs(60), TIMEOUT;
        /// How long a connection that is passed on or upgraded may be silent in both directions.
        tunnel_timeout: Duration = Duration::from_secs(3_600), TIMEOUT;
    }
}

/// A response with a `Location`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// An absolute URL or a path. Path and query of the request are kept if it is only an origin
    /// (`https://example.com`).
    pub to: Arc<str>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// A fixed response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respond {
    /// 200 to 599.
    pub status: u16,
    /// The fields in written order, without framing fields.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// The body. Empty for 204 and 304.
    pub body: Arc<str>,
}
