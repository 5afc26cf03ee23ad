//! Warnings about rules that lead around the users of another rule.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::cover::{ancestors, covers, host_options, with_patterns_over};
use crate::config::diagnostics::Report;
use crate::config::lowering::Lowered;
use crate::config::plan::{Action, Bind, HostPattern, Listener, Location, Protocol, Rule, UpstreamId};

/// Where a rule leads.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place<'p> {
    Upstream(UpstreamId),
    Root(&'p std::path::Path),
}

/// The indices of a listener and of one of its rules.
type At = (usize, usize);

/// The rules of a listener, by each of their hosts and path prefixes.
type ByPlace = HashMap<(Option<HostPattern>, Arc<str>), Vec<usize>>;

/// Warns about rules that lead to the same place as a rule with `auth`, and ask no user: on another listener, or for more
/// hosts. A rule with conditions, with fewer methods or with a longer path is meant as an exception.
pub(super) fn ways_around(lowered: &Lowered, report: &mut Report) {
    let listeners = &lowered.plan.listeners;
    let all = || {
        let listeners = listeners.iter().enumerate();
        listeners.flat_map(|(at, listener)| {
            listener.rules().iter().enumerate().map(move |(index, rule)| ((at, index), rule))
        })
    };
    let mut guarded = all().filter(|(_, rule)| asks_for_users(rule)).peekable();
    if guarded.peek().is_none() {
        return;
    }
    let mut open: HashMap<(Place<'_>, &str), Vec<At>> = HashMap::new();
    for (at, rule) in all().filter(|(at, rule)| is_open(rule) && serves_others(&listeners[at.0])) {
        if let Some(place) = place(rule) {
            open.entry((place, &*rule.path_prefix)).or_default().push(at);
        }
    }
    let taken: Vec<ByPlace> = listeners.iter().map(by_place).collect();
    let mut told = HashSet::new();
    for (at, rule) in guarded {
        // A rule that can never match has its warning already.
        let is_told = report.has_warning_at(lowered.spans[at.0].rules[at.1]);
        let Some(place) = place(rule).filter(|_| !is_told) else { continue };
        for prefix in rule.prefixes() {
            let ways = ancestors(&prefix).filter_map(|above| open.get(&(place, above))).flatten();
            let mut ways = ways.filter(|way| leads_around(listeners, &taken, (at, rule), &prefix, **way));
            let Some(way) = ways.next().filter(|way| told.insert(**way)) else { continue };
            let (listener, around) = (&listeners[way.0], &listeners[way.0].rules()[way.1]);
            let message = format!(
                "the rule `{}` of the listener `{}` asks no user, and leads to where `{}` asks for one",
                around.name, listener.name, rule.name
            );
            let hint = format!(
                "{} asks for users of `{prefix}`: add `auth` here too, or conditions such as `from`",
                rule.origin
            );
            report.warning(Some(lowered.spans[way.0].rules[way.1]), message, hint);
        }
    }
}

fn asks_for_users(rule: &Rule) -> bool {
    rule.policies.as_ref().is_some_and(|policies| policies.auth.is_some())
}

fn is_open(rule: &Rule) -> bool {
    !asks_for_users(rule) && rule.conditions.is_none()
}

/// Whether strangers reach the rules of a listener.
fn serves_others(listener: &Listener) -> bool {
    let is_here = |bind: &Bind| matches!(bind, Bind::Address(at) if at.ip().is_loopback());
    let redirects = matches!(&listener.protocol, Protocol::Http(http) if http.redirect_to_https.is_some());
    let asks_for_certificate = listener.tls.as_ref().is_some_and(|tls| tls.client_auth.is_some());
    !(redirects || asks_for_certificate || listener.binds.iter().all(is_here))
}

fn place(rule: &Rule) -> Option<Place<'_>> {
    match &rule.action {
        Action::Proxy(proxy) => Some(Place::Upstream(proxy.upstream)),
        Action::Files(files) => Some(Place::Root(&files.root)),
        Action::Redirect(_) | Action::Respond(_) | Action::Pass(_) | Action::Drop => None,
    }
}

fn by_place(listener: &Listener) -> ByPlace {
    let mut places = ByPlace::new();
    for (index, rule) in listener.rules().iter().enumerate() {
        for host in host_options(&rule.hosts) {
            for prefix in rule.prefixes() {
                places.entry((host.cloned(), prefix)).or_default().push(index);
            }
        }
    }
    places
}

/// Whether requests that `rule` takes, at a path prefix of it, come to the rule at `way` in another way.
fn leads_around(
    listeners: &[Listener],
    taken: &[ByPlace],
    (at, rule): (At, &Rule),
    prefix: &str,
    way: At,
) -> bool {
    let rules = listeners[way.0].rules();
    let around = &rules[way.1];
    if !covers(&around.methods, &rule.methods) || !is_same_path(rule, around) {
        return false;
    }
    // With the host of the client, the target knows whether it is another site.
    let is_one_site = !matches!(&around.action, Action::Proxy(proxy) if proxy.pass_host);
    let takes = |before: &Rule| {
        let is_wider = before.conditions.is_none() || before.conditions == rule.conditions;
        is_wider && covers(&before.methods, &rule.methods)
    };
    let is_taken = |host: Option<&HostPattern>| {
        with_patterns_over(host).into_iter().any(|host| {
            ancestors(prefix).any(|above| {
                let before = taken[way.0].get(&(host.clone(), above.into())).into_iter().flatten();
                before.take_while(|index| **index < way.1).any(|index| takes(&rules[*index]))
            })
        })
    };
    let is_meant = |host: Option<&HostPattern>| {
        let is_own = host_options(&rule.hosts).any(|own| own == host);
        let is_wider =
            || host_options(&rule.hosts).flat_map(with_patterns_over).any(|over| over.as_ref() == host);
        is_own || ((at.0 != way.0 || is_one_site) && is_wider())
    };
    host_options(&around.hosts).any(|host| is_meant(host) && !is_taken(host))
}

/// Whether the target gets the same path from both rules.
fn is_same_path(one: &Rule, other: &Rule) -> bool {
    one.stripped_prefix() == other.stripped_prefix() && rewritten(one) == rewritten(other)
}

fn rewritten(rule: &Rule) -> Option<&Location> {
    match &rule.action {
        Action::Proxy(proxy) => proxy.rewrite.as_ref(),
        _ => None,
    }
}
