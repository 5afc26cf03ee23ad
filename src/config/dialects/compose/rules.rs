//! The routes of services as the rules of a listener.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::routes::{Destination, Route};
use crate::config::diagnostics::{Span, Spanned};
use crate::config::plan::{ACME_CHALLENGES, HostPattern, Redirect, Respond};
use crate::config::source::{
    ActionSource, Inline, LimitsSource, PassSource, ProxySource, RuleSource, UpstreamUse,
};
use crate::config::values::target::TargetText;

/// One of the two listeners for compose files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The listener without TLS. With `redirects`, it redirects everything to `https` except challenges and
    /// passed-on hosts, so it needs no other rules.
    Clear { redirects: bool },
    /// The listener with TLS.
    Tls,
}

/// One rule for every route and for every redirected host.
///
/// Passed-on hosts come first, because no rule before them may terminate their TLS. Redirects, exact hosts and
/// wildcards follow. Within each class, hosts have their written order. Rules of one host are sorted by path,
/// longest first, then in written order.
pub(super) fn of(routes: &[Route], side: Side, https: bool, port: u16) -> Vec<RuleSource> {
    let mut served: HashMap<&HostPattern, Vec<&Route>> = HashMap::new();
    for route in routes.iter().filter(|route| !matches!(route.destination, Destination::Unavailable(_))) {
        served.entry(&route.host).or_default().push(route);
    }
    let list = List { routes, served, side, https, port };
    let mut ranked: Vec<(Rank, RuleSource)> = list.redirects();
    ranked.extend(list.actions());
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, rule)| rule).collect()
}

/// The place of a rule. The smallest is the first.
type Rank = (Class, usize, Reverse<usize>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    PassedOn,
    Redirect,
    WildcardRedirect,
    Exact,
    Wildcard,
}

/// The rules of one listener while they are made.
struct List<'r> {
    routes: &'r [Route],
    /// The available routes, by host.
    served: HashMap<&'r HostPattern, Vec<&'r Route>>,
    side: Side,
    /// Whether the gate terminates TLS for routes without `passthrough`.
    https: bool,
    /// The port of `https` as clients see it.
    port: u16,
}

impl List<'_> {
    /// One rule for each redirected host, however many routes name it.
    fn redirects(&self) -> Vec<(Rank, RuleSource)> {
        let mut seen = HashSet::new();
        let mut rules = Vec::new();
        for route in self.routes.iter().filter(|_| self.serves("/")) {
            let to = self.origin(route);
            for from in &route.redirect_from {
                if seen.insert((&from.value, to.clone())) {
                    let wildcard = is_wildcard(&from.value);
                    let class = if wildcard { Class::WildcardRedirect } else { Class::Redirect };
                    let action = ActionSource::Redirect(Redirect { to: to.as_str().into(), status: 301 });
                    rules.push(((class, 0, Reverse(0)), rule(from.span, &from.value, &"/".into(), action)));
                }
            }
        }
        rules
    }

    /// One rule for each route that this listener handles.
    fn actions(&self) -> Vec<(Rank, RuleSource)> {
        let mut hosts: HashMap<&HostPattern, usize> = HashMap::new();
        let mut rules = Vec::new();
        for route in self.routes {
            let next = hosts.len();
            let host = *hosts.entry(&route.host).or_insert(next);
            let Some(action) = self.action(route) else { continue };
            let class = match &action {
                _ if is_wildcard(&route.host) => Class::Wildcard,
                ActionSource::Pass(_) => Class::PassedOn,
                _ => Class::Exact,
            };
            let rank = (class, host, Reverse(route.path.len()));
            let in_the_clear = self.stays_in_the_clear(route);
            let rule = rule(route.span, &route.host, &route.path, action);
            rules.push((rank, RuleSource { in_the_clear, ..rule }));
        }
        rules
    }

    fn action(&self, route: &Route) -> Option<ActionSource> {
        match &route.destination {
            Destination::Passthrough { tls, clear } => {
                let upstream = upstream(if self.side == Side::Tls { tls } else { clear });
                let pass = PassSource { upstream, send_proxy_protocol: None, idle_timeout: None };
                Some(ActionSource::Pass(pass))
            }
            _ if !self.serves(&route.path) => None,
            Destination::Target { target, pass_host, strip_prefix } => {
                Some(ActionSource::Proxy(Box::new(ProxySource {
                    upstream: upstream(target),
                    pass_host: *pass_host,
                    strip_path_prefix: *strip_prefix,
                    limits: LimitsSource::default(),
                })))
            }
            Destination::Unavailable(_) if self.is_answered(route) || self.tls_passes_through(route) => None,
            Destination::Unavailable(why) => Some(ActionSource::Respond(unavailable(why))),
        }
    }

    /// Whether rules of this listener get requests for paths under `path`.
    fn serves(&self, path: &str) -> bool {
        match self.side {
            Side::Tls => self.https,
            Side::Clear { redirects } => !redirects || serves_challenges(path),
        }
    }

    /// Whether port 80 answers 503 for this route instead of redirecting to `https`. True for a rejected
    /// `passthrough` route: its own server was to terminate TLS, so `https` may have nothing that explains the
    /// error.
    fn stays_in_the_clear(&self, route: &Route) -> bool {
        let is_rejected = matches!(route.destination, Destination::Unavailable(_));
        self.side == Side::Clear { redirects: true } && route.passthrough && is_rejected
    }

    /// Whether another service serves this host and path. Then the error of this route need not be shown.
    fn is_answered(&self, route: &Route) -> bool {
        let others = self.served.get(&route.host).into_iter().flatten();
        let mut others = others.filter(|other| {
            matches!(other.destination, Destination::Passthrough { .. }) || other.path == route.path
        });
        others.next().is_some()
    }

    /// Whether TLS of this host is to be passed on, so that not even an error may be shown. If a wildcard would
    /// terminate it otherwise, the error is shown.
    fn tls_passes_through(&self, route: &Route) -> bool {
        let takers = route.host.wildcard_over().and_then(|over| self.served.get(&over)).into_iter().flatten();
        let is_taken =
            takers.into_iter().any(|taker| matches!(taker.destination, Destination::Target { .. }));
        route.passthrough && self.side == Side::Tls && !is_taken
    }

    /// The origin in redirects to `route`. A route with `passthrough` terminates TLS itself, so it is under
    /// `https` in any case.
    fn origin(&self, route: &Route) -> String {
        match (self.https || route.passthrough, self.port) {
            (true, 443) => format!("https://{}", route.host),
            (true, port) => format!("https://{}:{port}", route.host),
            (false, _) => format!("http://{}", route.host),
        }
    }
}

/// Whether a rule for `path` may get ACME challenges.
fn serves_challenges(path: &str) -> bool {
    let below = |prefix: &str, path: &str| {
        prefix == "/"
            || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below(path, ACME_CHALLENGES) || below(ACME_CHALLENGES, path)
}

fn is_wildcard(host: &HostPattern) -> bool {
    matches!(host, HostPattern::Wildcard(_))
}

fn upstream(target: &Spanned<TargetText>) -> UpstreamUse {
    let (span, targets) = (target.span, vec![target.clone()]);
    UpstreamUse::Inline(Inline { span, targets, tls: None, connect_timeout: None })
}

/// Seconds. A person has to edit a file in this time.
const RETRY_AFTER: &str = "30";

fn unavailable(why: &str) -> Respond {
    let why: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let headers = [("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", RETRY_AFTER)];
    Respond {
        status: 503,
        headers: headers.map(|(name, value)| (name.into(), value.into())).into(),
        body: format!("{why}\n").into(),
    }
}

fn rule(span: Span, host: &HostPattern, path: &Arc<str>, action: ActionSource) -> RuleSource {
    RuleSource {
        span,
        name: None,
        hosts: vec![host.clone()],
        path_prefix: Some(path.clone()),
        methods: Vec::new(),
        in_the_clear: false,
        action: Some(action),
    }
}
