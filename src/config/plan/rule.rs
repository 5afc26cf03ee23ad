//! Rules in a plan.

use std::sync::Arc;
use std::time::Duration;

use super::conditions::{Conditions, PathExpression, PathGlob};
use super::files::Files;
use super::headers::RuleHeaders;
use super::host::HostPattern;
use super::location::Location;
use super::origin::Origin;
use super::plugins::PluginChain;
use super::policies::{Page, Policies, Speed};
use super::upstream::UpstreamId;
use crate::config::keys::settings;
use crate::config::keys::shape::{BODY_LIMIT, TIMEOUT};
use crate::http::{CAPTURES_MAX, CaptureNames, Captures, Escape, Template};

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
    /// The other conditions that a request must satisfy; `None` in most rules. With a pattern for the path,
    /// `path_prefix` is `/`.
    pub conditions: Option<Arc<Conditions>>,
    /// Requests in the clear come to this rule in spite of `redirect_to_https`.
    pub in_the_clear: bool,
    /// Whether certificates are ordered for its hosts, where they are ordered at all.
    pub acme: bool,
    /// Whether its exchanges and connections have lines in the access log, if there is one.
    pub access_log: bool,
    /// Fields that are changed in its messages; `None` in most rules.
    pub headers: Option<Arc<RuleHeaders>>,
    /// The policies that act before the action; `None` in most rules.
    pub policies: Option<Arc<Policies>>,
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
    /// [`Rule::conditions`].
    pub conditions: Option<&'a Arc<Conditions>>,
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
            conditions,
            in_the_clear: _,
            acme: _,
            access_log: _,
            headers: _,
            policies: _,
            action: _,
        } = self;
        Matcher { hosts, path_prefix, methods, conditions: conditions.as_ref() }
    }

    /// Globs for the whole path. Empty if there are none.
    pub fn globs(&self) -> &[PathGlob] {
        self.conditions.as_ref().map_or(&[], |conditions| &conditions.paths)
    }

    /// Expressions for the path. Empty if there are none.
    pub fn expressions(&self) -> &[PathExpression] {
        self.conditions.as_ref().map_or(&[], |conditions| &conditions.expressions)
    }

    /// Whether the rule has globs or expressions for the path, in the place of a prefix.
    pub fn has_path_patterns(&self) -> bool {
        self.conditions.as_ref().is_some_and(|conditions| conditions.ask_for_path())
    }

    /// The captures of the rule: those that each of its hosts has, and then those that each of its paths has.
    pub fn captures(hosts: &[HostPattern], conditions: Option<&Conditions>) -> CaptureNames {
        let of_host = HostPattern::common_stars(hosts).min(CAPTURES_MAX);
        let globs = conditions.map_or(&[][..], |conditions| &conditions.paths).iter().map(PathGlob::names);
        let expressions = conditions.map_or(&[][..], |conditions| &conditions.expressions);
        let all = globs.chain(expressions.iter().map(PathExpression::names));
        let common =
            |one: &'_ [_], two: &'_ [_]| one.iter().zip(two).take_while(|(one, two)| one == two).count();
        let of_path = all.map(<[_]>::to_vec).reduce(|one, two| one[..common(&one, &two)].to_vec());
        let names = std::iter::repeat_n(None, of_host).chain(of_path.into_iter().flatten());
        CaptureNames { of_host, names: names.take(CAPTURES_MAX).collect() }
    }

    /// The parts of a host and a path, which the rule has taken, for [`captures`](Self::captures). The path is decoded
    /// for matching.
    pub fn capture<'p>(&self, host: &'p [u8], path: &'p [u8]) -> Captures<'p> {
        let mut captures = Captures::NONE;
        let of_host = HostPattern::common_stars(&self.hosts);
        if of_host > 0 {
            self.hosts.iter().any(|pattern| {
                captures = Captures::NONE;
                pattern.take_stars(host, |part| captures.push(part))
            });
            captures.resize(of_host);
        }
        let before = captures;
        let mut taken = self.globs().iter().any(|glob| {
            captures = before;
            glob.matches_with(path, |part| captures.push(part))
        });
        taken = taken
            || self.expressions().iter().any(|expression| {
                captures = before;
                expression.matches_with(path, |part| captures.push(part))
            });
        if taken { captures } else { before }
    }

    /// Path prefixes, under one of which every path of the rule is: its own, or those of its patterns.
    pub fn prefixes(&self) -> Vec<Arc<str>> {
        if !self.has_path_patterns() {
            return vec![self.path_prefix.clone()];
        }
        let globs = self.globs().iter().map(|glob| glob.literal_prefix().into());
        globs.chain(self.expressions().iter().map(|one| one.literal_prefix().into())).collect()
    }

    /// The path prefix, the globs or the expressions, for a reader.
    pub fn path_text(&self) -> String {
        if !self.has_path_patterns() {
            return self.path_prefix.to_string();
        }
        let globs = self.globs().iter().map(PathGlob::to_string);
        globs.chain(self.expressions().iter().map(|one| format!("~{one}"))).collect::<Vec<_>>().join(",")
    }

    /// The keys of the policies in the order in which they act, for a reader, behind the action: `, after cors, then
    /// compress`. Empty if there are none.
    pub fn policies_text(&self) -> String {
        let lines = self.policies.as_ref().map(|policies| policies.lines()).unwrap_or_default();
        let lines = lines.into_iter().filter(|(_, value)| value != "false");
        let keys = lines.map(|(key, _)| key);
        let (then, after) = keys.partition::<Vec<_>, _>(|key| Policies::OF_RESPONSES.contains(key));
        let parts = [("after", after), ("then", then)].into_iter().filter(|(_, keys)| !keys.is_empty());
        parts.map(|(word, keys)| format!(", {word} {}", keys.join(", "))).collect()
    }

    /// The conditions that are not on the path, for a reader. Empty if there are none.
    pub fn conditions_text(&self) -> String {
        self.conditions.as_ref().map(|conditions| conditions.to_string()).unwrap_or_default()
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
    /// Serve files. In an `Arc`, because a file is looked up on other threads too.
    Files(Arc<Files>),
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
    /// How fast its bytes move.
    pub speed: Option<Arc<Speed>>,
    /// The plugins that are asked about each connection.
    pub plugins: Option<Arc<PluginChain>>,
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
    /// The path that the target gets in the place of the client's; `None` beside `strip_path_prefix`.
    pub rewrite: Option<Location>,
    /// Bytes of the longest chunked request body that is collected and sent with its length. `None`: such bodies pass
    /// as they come.
    pub buffer_request: Option<u64>,
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
    /// An absolute URL or a path, with placeholders. Path and query of the request are kept if it is only an origin
    /// (`https://example.com`).
    pub to: Location,
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
    /// The body, with placeholders. Empty for 204 and 304.
    pub body: Template,
    /// The page that is the body, if it is in a file.
    pub page: Option<Page>,
}

impl Respond {
    /// The entity tag of the body, if the configuration gives it one and the status is 200.
    pub fn entity_tag(&self) -> Option<&str> {
        let is_tag = |(name, _): &&(Arc<str>, Arc<str>)| name.eq_ignore_ascii_case("etag");
        self.headers.iter().find(is_tag).filter(|_| self.status == 200).map(|(_, value)| &**value)
    }

    /// The escape for the values of placeholders in the body.
    pub fn escape(&self) -> Escape {
        let is_type = |(name, _): &&(Arc<str>, Arc<str>)| name.eq_ignore_ascii_case("content-type");
        Escape::of_type(self.headers.iter().find(is_type).map(|(_, value)| value.as_bytes()))
    }
}
