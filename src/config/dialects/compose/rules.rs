//! The routes of services as the rules of a listener.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::route::{Destination, Host, Route};
use crate::config::diagnostics::Spanned;
use crate::config::plan::{
    ACME_CHALLENGES, Conditions, HostGlob, HostPattern, Location, PoliciesWritten, Redirect, Respond,
};
use crate::config::source::{ActionSource, RuleSource};
use crate::http::Template;

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
/// Passed-on hosts come first, because no rule before them may terminate their TLS. Redirects, exact hosts,
/// wildcards and any other host follow. Within each class, hosts have their written order. Rules of one host are
/// sorted by path, those with a pattern and then the longest first; of one path those with methods come first; then in
/// written order.
pub(super) fn of(routes: &[Route], side: Side, https: bool, port: u16) -> Vec<RuleSource> {
    let mut served: HashMap<&Host, Vec<&Route>> = HashMap::new();
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
type Rank = (Class, usize, Reverse<usize>, Wants);

/// The order of the rules of one path. Those that ask for more come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wants {
    /// Conditions, such as those on the address of the client.
    More,
    Methods,
    Nothing,
    /// The rule refuses what the others leave.
    Rest,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    PassedOn,
    Redirect,
    WildcardRedirect,
    Exact,
    Partial,
    Wildcard,
    /// The pattern with more bytes that are not free comes first.
    Labels(Reverse<usize>),
    Deep,
    /// A pattern that ends with `**`.
    Open(Reverse<usize>),
    AnyHost,
}

/// The rules of one listener while they are made.
struct List<'r> {
    routes: &'r [Route],
    /// The available routes, by host.
    served: HashMap<&'r Host, Vec<&'r Route>>,
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
            let Some(host) = &route.host else { continue };
            let to = self.origin(host, route.passthrough);
            for from in &route.redirect_from {
                if seen.insert((&from.value, to.clone())) {
                    let is_exact = matches!(from.value, HostPattern::Exact(_));
                    let class = if is_exact { Class::Redirect } else { Class::WildcardRedirect };
                    let redirect = Redirect { to: Location::new(Template::literal(&to)), status: 301 };
                    let rank = (class, 0, Reverse(0), Wants::Nothing);
                    rules.push((rank, redirecting(from, route.rule.acme, ActionSource::Redirect(redirect))));
                }
            }
        }
        rules
    }

    /// One rule for each route that this listener handles.
    fn actions(&self) -> Vec<(Rank, RuleSource)> {
        let mut hosts: HashMap<&Host, usize> = HashMap::new();
        let mut rules = Vec::new();
        for route in self.routes {
            let next = hosts.len();
            let host = *hosts.entry(&route.host).or_insert(next);
            let Some(action) = self.action(route) else { continue };
            let class = match (&route.host, &action) {
                (None, _) => Class::AnyHost,
                (Some(HostPattern::Deep(_)), _) => Class::Deep,
                (Some(HostPattern::Wildcard(_)), _) => Class::Wildcard,
                (Some(HostPattern::Glob(glob)), _) => glob_class(glob),
                (Some(HostPattern::Exact(_)), ActionSource::Pass(_)) => Class::PassedOn,
                (Some(HostPattern::Exact(_)), _) => Class::Exact,
            };
            let wants = match &route.rule {
                rule if rule.conditions.is_some() => Wants::More,
                rule if rule.methods.is_empty() => Wants::Nothing,
                _ => Wants::Methods,
            };
            let rank = |wants| (class, host, Reverse(path_rank(route)), wants);
            let in_the_clear = self.stays_in_the_clear(route);
            let hosts = route.host.iter().cloned().collect();
            let rule = RuleSource { hosts, in_the_clear, action: Some(action), ..route.rule.clone() };
            if is_for_clients(route) && !self.is_shared(route) {
                rules.push((rank(Wants::Rest), refusing(&rule)));
            }
            rules.push((rank(wants), rule));
        }
        rules
    }

    /// Whether another service serves the clients that this route, which is for some clients, leaves.
    fn is_shared(&self, route: &Route) -> bool {
        let others = self.served.get(&route.host).into_iter().flatten();
        others
            .filter(|other| path(other) == path(route))
            .any(|other| other.rule.conditions.is_none() && other.rule.methods.is_empty())
    }

    fn action(&self, route: &Route) -> Option<ActionSource> {
        match &route.destination {
            Destination::Passthrough { tls, clear } => {
                let pass = if self.side == Side::Tls { tls } else { clear };
                Some(ActionSource::Pass((**pass).clone()))
            }
            _ if !(self.serves(path(route)) || self.stays_in_the_clear(route)) => None,
            Destination::Target(proxy) => Some(ActionSource::Proxy(proxy.clone())),
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

    /// Whether port 80 serves this route instead of redirecting to `https`. True for a route that asks for it, and
    /// for a rejected `passthrough` route, which gets 503 there: its own server was to terminate TLS, so `https`
    /// may have nothing that explains the error.
    fn stays_in_the_clear(&self, route: &Route) -> bool {
        let is_rejected = matches!(route.destination, Destination::Unavailable(_));
        self.side == Side::Clear { redirects: true }
            && (route.rule.in_the_clear || (route.passthrough && is_rejected))
    }

    /// Whether another service serves this host and path. Then the error of this route need not be shown.
    fn is_answered(&self, route: &Route) -> bool {
        let others = self.served.get(&route.host).into_iter().flatten();
        let mut others = others.filter(|other| {
            let is_same = path(other) == path(route) && other.rule.methods.is_empty();
            matches!(other.destination, Destination::Passthrough { .. }) || is_same
        });
        others.next().is_some()
    }

    /// Whether TLS of this host is to be passed on, so that not even an error may be shown. If a wildcard, or a
    /// route for any host, would terminate it otherwise, the error is shown.
    fn tls_passes_through(&self, route: &Route) -> bool {
        let over =
            route.host.as_ref().map(HostPattern::patterns_over).unwrap_or_default().into_iter().map(Some);
        let mut takers = over.chain([None]).filter_map(|over| self.served.get(&over)).flatten();
        let is_taken = takers.any(|taker| matches!(taker.destination, Destination::Target { .. }));
        route.passthrough && self.side == Side::Tls && !is_taken
    }

    /// The origin in redirects to `host`. A route with `passthrough` terminates TLS itself, so it is under `https`
    /// in any case.
    fn origin(&self, host: &HostPattern, passthrough: bool) -> String {
        match (self.https || passthrough, self.port) {
            (true, 443) => format!("https://{host}"),
            (true, port) => format!("https://{host}:{port}"),
            (false, _) => format!("http://{host}"),
        }
    }
}

fn glob_class(glob: &HostGlob) -> Class {
    let length = Reverse(glob.literal_length());
    match (glob.suffix(), glob.suffix_of_one_label()) {
        (_, Some(_)) => Class::Partial,
        (Some(_), None) => Class::Labels(length),
        (None, None) => Class::Open(length),
    }
}

fn path(route: &Route) -> &str {
    route.rule.path_prefix.as_deref().unwrap_or("/")
}

/// The length of the path. A pattern may be for a part of what any prefix takes, so it is longer than all of them.
fn path_rank(route: &Route) -> usize {
    let has_pattern = route.rule.conditions.as_ref().is_some_and(|conditions| conditions.ask_for_path());
    if has_pattern { usize::MAX } else { path(route).len() }
}

/// Whether the route is for some addresses of clients.
fn is_for_clients(route: &Route) -> bool {
    route.rule.conditions.as_ref().is_some_and(|conditions| conditions.ask_for_address())
}

/// Whether a rule for `path` may get ACME challenges.
fn serves_challenges(path: &str) -> bool {
    let below = |prefix: &str, path: &str| {
        prefix == "/"
            || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below(path, ACME_CHALLENGES) || below(ACME_CHALLENGES, path)
}

/// Seconds. A person has to edit a file in this time.
const RETRY_AFTER: &str = "30";

fn unavailable(why: &str) -> Respond {
    let why: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let headers = [("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", RETRY_AFTER)];
    Respond {
        status: 503,
        headers: headers.map(|(name, value)| (name.into(), value.into())).into(),
        body: Template::literal(&format!("{why}\n")),
        page: None,
    }
}

/// The rule for the clients that a rule for some clients leaves. Without it, their requests would go to a rule for more
/// hosts or paths.
fn refusing(rule: &RuleSource) -> RuleSource {
    let body = "this site is not open to the address of the client\n";
    let headers = vec![("Content-Type".into(), "text/plain; charset=utf-8".into())];
    let action = Some(ActionSource::Respond(Respond {
        status: 403,
        headers,
        body: Template::literal(body),
        page: None,
    }));
    let paths_alone = |conditions: &Conditions| {
        let Conditions { paths, expressions, .. } = conditions.clone();
        (!(paths.is_empty() && expressions.is_empty()))
            .then(|| Conditions { paths, expressions, ..Conditions::default() }.into())
    };
    let conditions = rule.conditions.as_deref().and_then(paths_alone);
    let policies = PoliciesWritten::default();
    RuleSource { name: None, conditions, policies, policy: Vec::new(), action, ..rule.clone() }
}

/// The rule of a redirected host.
fn redirecting(from: &Spanned<HostPattern>, acme: bool, action: ActionSource) -> RuleSource {
    RuleSource {
        hosts: vec![from.value.clone()],
        path_prefix: Some("/".into()),
        acme,
        action: Some(action),
        ..RuleSource::at(from.span)
    }
}
