//! Warnings about a valid plan that probably does not mean what it says, and errors that only the whole of it shows.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::cover::{ancestors, covers, host_options, with_patterns_over};
use super::policies::{passwords_in_the_clear, speeds_of_places, without_page, without_users};
use super::ways_around::ways_around;
use crate::config::decode::SAMPLE;
use crate::config::diagnostics::Report;
use crate::config::lowering::{ListenerSpans, Lowered};
use crate::config::plan::{
    Auth, Bind, HostPattern, HostPlace, InternalBind, Listener, Matcher, Plan, Protocol, Rule, Target,
    TargetHost,
};

/// Checks the whole plan.
pub(crate) fn check(lowered: &Lowered, report: &mut Report) {
    if lowered.plan.listeners.is_empty() {
        let hint = format!("add for example `{SAMPLE}`");
        report.warning(None, "there is no listener: nothing will be served", hint);
    }
    open_to_all(lowered, report);
    too_few_connections(&lowered.plan, report);
    for (listener, spans) in lowered.plan.listeners.iter().zip(&lowered.spans) {
        let Protocol::Http(http) = &listener.protocol else {
            continue;
        };
        // The dialect may have warned already, at the place that stands for the listener.
        let is_said = report.has_warning_at(spans.listener);
        if http.rules.is_empty() && http.redirect_to_https.is_none() && !is_said {
            let message = format!("the listener `{}` has no rules: every request gets 404", listener.name);
            report.warning(Some(spans.listener), message, "add a rule");
        }
        if listener.tls.is_none() && http.trusted_proxies.is_empty() && http.redirect_to_https.is_none() {
            passwords_in_the_clear(listener, spans, report);
        }
        without_users(&http.rules, spans, report);
        if http.redirect_to_https.is_none() {
            unredirected(&http.rules, spans, report);
        }
        without_page(&http.rules, spans, report);
        crowded(&http.rules, spans, report);
        shadowed(&http.rules, spans, report);
        if listener.tls.is_some() {
            hidden(&http.rules, spans, report);
        }
    }
    speeds_of_places(lowered, report);
    circular(lowered, report);
    asking_itself(lowered, report);
    ways_around(lowered, report);
}

/// Reports rules whose server is behind the same question: the gate would ask itself, again and again. A rule with
/// conditions may take the question or not, so the rules behind it count.
fn asking_itself(lowered: &Lowered, report: &mut Report) {
    let plan = &lowered.plan;
    for (listener, spans) in plan.listeners.iter().zip(&lowered.spans) {
        for (rule, span) in listener.rules().iter().zip(&spans.rules) {
            let auth = rule.policies.as_ref().and_then(|policies| policies.auth.as_deref());
            let Some(auth @ Auth::Server(server)) = auth else { continue };
            let targets = &plan.upstreams[server.upstream.0.0].targets;
            let takers = targets.iter().filter_map(|target| taker(plan, target, server.path()));
            let asks_too = |taker: &&Rule| {
                taker.policies.as_ref().and_then(|policies| policies.auth.as_deref()) == Some(auth)
            };
            if let Some(taker) = takers.into_iter().find(asks_too) {
                let message =
                    format!("the rule `{}` asks a server behind this gate, which asks it again", rule.name);
                let hint = format!(
                    "`{}` ({}) takes the question: write a rule without `auth` for the server above it",
                    taker.name, taker.origin
                );
                report.error_hint(*span, message, hint);
            }
        }
    }
}

/// The rule of this gate that surely takes a GET for a path behind the base path of a target, if the target is this gate.
fn taker<'p>(plan: &'p Plan, target: &Target, path: &str) -> Option<&'p Rule> {
    let (host, whole) = (target.host.to_string(), format!("{}{path}", target.base_path));
    let path = whole.split('?').next().filter(|path| !path.is_empty()).unwrap_or("/");
    let names = |rule: &Rule| rule.hosts.iter().any(|pattern| pattern.matches(host.as_bytes()));
    let is_here = |listener: &&Listener| {
        let binds = listener.binds.iter().filter(|bind| bind.port() == target.port);
        let is_named = listener.rules().iter().any(names);
        binds.clone().any(|bind| is_named || leads_to(&target.host, *bind))
    };
    let takes = |rule: &&Rule| {
        (rule.hosts.is_empty() || names(rule))
            && rule.conditions.is_none()
            && covers(&rule.methods, &["GET".into()])
            && ancestors(path).any(|prefix| prefix == &*rule.path_prefix)
    };
    plan.listeners.iter().filter(is_here).find_map(|listener| listener.rules().iter().find(takes))
}

/// Warns about targets at which the gate itself listens. Other names and addresses of the machine are not known
/// here. While the gate runs, a request that comes back by those is refused.
fn circular(lowered: &Lowered, report: &mut Report) {
    let plan = &lowered.plan;
    let mut own: HashMap<u16, Vec<(Bind, String)>> = HashMap::new();
    for listener in &plan.listeners {
        for bind in &listener.binds {
            own.entry(bind.port()).or_default().push((*bind, format!("the listener `{}`", listener.name)));
        }
    }
    if let InternalBind::Tcp(bind) = plan.internal_api.bind {
        own.entry(bind.port()).or_default().push((bind, "the internal API".to_owned()));
    }
    for (upstream, spans) in plan.upstreams.iter().zip(&lowered.targets) {
        for (target, span) in upstream.targets.iter().zip(spans) {
            let here = own.get(&target.port).into_iter().flatten();
            let Some((_, listens)) = here.clone().find(|(bind, _)| leads_to(&target.host, *bind)) else {
                continue;
            };
            let message = format!("the target `{target}` leads back to this gate: {listens} is there");
            report.warning(
                Some(*span),
                message,
                "name the program that is to answer; in a container, `localhost` is the container itself",
            );
        }
    }
}

/// Whether a connection to that host and the port of `bind` reaches `bind`.
fn leads_to(host: &TargetHost, bind: Bind) -> bool {
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let comes_in = |to: IpAddr| match bind {
        Bind::Any(_) => to.is_loopback(),
        Bind::Address(at) if at.ip().is_unspecified() => at.is_ipv4() == to.is_ipv4() && to.is_loopback(),
        Bind::Address(at) => at.ip() == to,
    };
    match host {
        // A connection to the unspecified address goes to this machine.
        TargetHost::Address(IpAddr::V4(to)) if to.is_unspecified() => comes_in(loopback[0]),
        TargetHost::Address(IpAddr::V6(to)) if to.is_unspecified() => comes_in(loopback[1]),
        TargetHost::Address(to) => comes_in(to.to_canonical()),
        // RFC 6761, section 6.3.
        TargetHost::Name(name) if &**name == "localhost" || name.ends_with(".localhost") => {
            loopback.into_iter().any(comes_in)
        }
        TargetHost::Name(_) | TargetHost::Unix(_) => false,
    }
}

/// Warns about an internal API that other machines can reach and that needs no token.
fn open_to_all(lowered: &Lowered, report: &mut Report) {
    let api = &lowered.plan.internal_api;
    if api.is_open() {
        let from =
            if lowered.internal_bind.is_some() { "" } else { " (INTERNAL_API_PORT names this address)" };
        let message = format!(
            "the internal API has no token, so any client that reaches `{}` may use it{from}",
            api.bind
        );
        report.warning(
            lowered.internal_bind,
            message,
            "set `token`, or bind it to 127.0.0.1 or to `unix:` and a path",
        );
    }
}

/// Warns about a limit of connections that is smaller than the number of addresses.
fn too_few_connections(plan: &Plan, report: &mut Report) {
    let addresses: usize = plan.listeners.iter().map(|listener| listener.binds.len()).sum();
    let most = plan.settings.max_connections;
    // 0 was refused.
    if (1..addresses).contains(&most) {
        let message =
            format!("`max_connections` is {most}, and there are {addresses} addresses to listen on");
        report.warning(None, message, "it is a limit on all of them together: allow more");
    }
}

/// Warns about `in_the_clear` on a listener that redirects nothing.
fn unredirected(rules: &[Rule], spans: &ListenerSpans, report: &mut Report) {
    for (_, span) in rules.iter().zip(&spans.rules).filter(|(rule, _)| rule.in_the_clear) {
        let message = "`in_the_clear` changes nothing: it keeps requests on plain HTTP, and this listener has no `redirect_to_https`";
        report.warning(Some(*span), message, "leave it out");
    }
}

/// Rules with conditions at one host and path that are worth a warning.
const CROWD: usize = 100;

/// Warns about many rules with conditions at one host and path, since each request there asks them in turn.
fn crowded(rules: &[Rule], spans: &ListenerSpans, report: &mut Report) {
    let mut counts: HashMap<(HostPlace<'_>, Arc<str>), usize> = HashMap::new();
    for (rule, span) in rules.iter().zip(&spans.rules) {
        // A host that shares its place with others is a condition too.
        let hosts =
            host_options(&rule.hosts).map(|host| host.map_or((HostPlace::Any, true), HostPattern::place));
        let hosts = hosts.filter(|(_, takes_all)| rule.conditions.is_some() || !takes_all);
        let places =
            hosts.flat_map(|(host, _)| rule.prefixes().into_iter().map(move |prefix| (host, prefix)));
        let mut is_crowd = false;
        for place in places {
            let count = counts.entry(place).or_default();
            *count += 1;
            is_crowd |= *count == CROWD;
        }
        if is_crowd {
            let message = format!(
                "{CROWD} rules with conditions stand at one host and path, and a request asks them in turn"
            );
            report.warning(Some(*span), message, "give them longer path prefixes, or hosts of their own");
        }
    }
}

/// Warns about rules that can never match, because earlier rules take all of their requests.
///
/// This is decided host by host. Each host of such a rule is taken by an earlier rule with no longer path and with
/// all of its methods. Rules are found by host and path, so the cost grows with the number of rules and not with
/// its square.
fn shadowed(rules: &[Rule], spans: &ListenerSpans, report: &mut Report) {
    let mut earlier: HashMap<(Option<HostPattern>, Arc<str>), Vec<&Rule>> = HashMap::new();
    for (rule, span) in rules.iter().zip(&spans.rules) {
        // The path prefix is one of the prefixes.
        let Matcher { hosts, path_prefix: _, methods, conditions } = rule.matcher();
        let prefixes = rule.prefixes();
        let takes = |before: &Rule| {
            let is_wider = before.conditions.is_none() || before.conditions.as_ref() == conditions;
            is_wider && covers(&before.methods, methods)
        };
        let taken_by = |host: Option<&HostPattern>, prefix: &str| {
            with_patterns_over(host).iter().find_map(|host| {
                ancestors(prefix).find_map(|path| {
                    earlier.get(&(host.clone(), path.into()))?.iter().find(|before| takes(before)).copied()
                })
            })
        };
        let takers: Option<Vec<&Rule>> = host_options(hosts)
            .flat_map(|host| prefixes.iter().map(move |prefix| (host, prefix)))
            .map(|(host, prefix)| taken_by(host, prefix))
            .collect();
        match takers.as_deref() {
            Some([taker, ..]) => {
                let message = format!("the rule `{}` can never match", rule.name);
                let (name, origin) = (&taker.name, &taker.origin);
                let what_to_do = match covers(methods, &taker.methods) && same_place(rule, taker) {
                    true => "leave one out",
                    false => "swap them, or leave one out",
                };
                let hint = format!("`{name}` ({origin}) takes everything before it: {what_to_do}");
                report.warning(Some(*span), message, hint);
            }
            _ => {
                for (host, prefix) in
                    host_options(hosts).flat_map(|host| prefixes.iter().map(move |prefix| (host, prefix)))
                {
                    earlier.entry((host.cloned(), prefix.clone())).or_default().push(rule);
                }
            }
        }
    }
}

/// Warns about rules that decide by the name under TLS and come too late. The first rule that takes the name does
/// not decide by it, whatever else that rule matches, so TLS is terminated.
///
/// An earlier rule may take some names of a wildcard, or of any host. That is how exceptions are written.
fn hidden(rules: &[Rule], spans: &ListenerSpans, report: &mut Report) {
    let mut first: HashMap<Option<HostPattern>, usize> = HashMap::new();
    for (index, (rule, span)) in rules.iter().zip(&spans.rules).enumerate() {
        let mut hosts = host_options(&rule.hosts);
        let taker = |host: Option<&HostPattern>| {
            let keys = with_patterns_over(host);
            keys.iter().filter_map(|key| first.get(key)).min().map(|index| &rules[*index])
        };
        let hides = |host: Option<&HostPattern>| taker(host).filter(|taker| !taker.decides_by_name());
        // A rule that can never match has its warning already.
        if rule.decides_by_name()
            && !report.has_warning_at(*span)
            && let Some((host, taker)) = hosts.find_map(|host| Some((host, hides(host)?)))
        {
            let name = host.map_or_else(|| "any name".to_owned(), |host| format!("`{host}`"));
            let message =
                format!("under TLS, connections for {name} do not come to the rule `{}`", rule.name);
            let hint = format!(
                "`{}` ({}) takes the name first, and path and method cannot be seen yet: move that rule below this one",
                taker.name, taker.origin
            );
            report.warning(Some(*span), message, hint);
        }
        // A rule for some clients leaves the name to the rules behind it.
        if rule.conditions.as_ref().is_none_or(|conditions| !conditions.ask_for_address()) {
            host_options(&rule.hosts).for_each(|host| _ = first.entry(host.cloned()).or_insert(index));
        }
    }
}

/// Whether two rules have one path, and the first has each host of the second. Then their order changes little.
fn same_place(one: &Rule, other: &Rule) -> bool {
    let has = |host: &HostPattern| one.hosts.contains(host);
    one.path_prefix == other.path_prefix
        && one.hosts.is_empty() == other.hosts.is_empty()
        && other.hosts.iter().all(has)
}
