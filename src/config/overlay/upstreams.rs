//! Servers that come, and servers that go.

use super::entry::{Outcome, entry};
use super::text::Literal;
use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::{Report, Spanned};
use crate::config::dialects::locci;
use crate::config::plan::Conflict;
use crate::config::source::{ActionSource, ProtocolSource, RuleSource, Source, UpstreamUse};
use crate::config::syntax::{Node, Value};
use crate::config::values::ValueError;
use crate::config::values::target::{self, TargetText};

/// Adds a server to an upstream, or a whole upstream.
pub(super) fn add(node: Node, source: &mut Source, report: &mut Report) -> Outcome {
    let Some(entry) = entry(node, false, report) else { return Outcome::Invalid };
    let (name, place) = (entry.name.value.clone(), entry.name.span);
    let is_one = entry.rest.get("server").is_some();
    let known = source.upstreams.iter().position(|one| one.name.value == name);
    let Some(at) = known.filter(|_| is_one) else {
        if known.is_some() {
            let message = format!("there is an upstream `{name}` already");
            return Outcome::Needless(Conflict::Taken, place, message);
        }
        let mut decoder = Decoder { report, notation: &Literal };
        let group = locci::group(&mut decoder, entry.name, of_one(entry.rest));
        let before = decoder.report.has_errors();
        let Some(upstream) = group.map(|group| group.upstream(source.connect_timeout)) else {
            return Outcome::Invalid;
        };
        if !before {
            source.upstreams.push(upstream);
        }
        return Outcome::Applied(true);
    };
    let Some(mut server) = server_alone(entry.rest, report) else { return Outcome::Invalid };
    let upstream = &mut source.upstreams[at];
    if upstream.targets.iter().any(|one| is_same(&one.value, &server.value)) {
        let message = format!("the upstream `{name}` has this server already");
        return Outcome::Needless(Conflict::Taken, server.span, message);
    }
    server.value.scheme = server.value.scheme.or(upstream.targets.first().and_then(|one| one.value.scheme));
    upstream.targets.push(server);
    Outcome::Applied(false)
}

/// Removes a server of the files, and its upstream if that has no other.
pub(super) fn remove(node: Node, source: &mut Source, report: &mut Report) -> Outcome {
    let Some(entry) = entry(node, false, report) else { return Outcome::Invalid };
    let Some(server) = server_alone(entry.rest, report) else { return Outcome::Invalid };
    let (name, place) = (entry.name.value, server.span);
    let known = source.upstreams.iter().position(|one| one.name.value == name);
    let has_it =
        |at: &usize| source.upstreams[*at].targets.iter().any(|one| is_same(&one.value, &server.value));
    let Some(at) = known.filter(has_it) else {
        let message = format!("the upstream `{name}` has no such server in the files");
        return Outcome::Needless(Conflict::Missing, place, message);
    };
    if source.upstreams[at].targets.len() > 1 {
        source.upstreams[at].targets.retain(|one| !is_same(&one.value, &server.value));
        return Outcome::Applied(false);
    }
    if rules(source).any(|rule| uses(rule, &name)) {
        let message = format!("this is the last server of the upstream `{name}`, which a rule uses");
        return Outcome::Unfit(place, message, "add another server first, or remove the rule");
    }
    source.upstreams.remove(at);
    Outcome::Applied(false)
}

/// The keys of an upstream with one server, written as those of an upstream with a list of them.
fn of_one(mut rest: Node) -> Node {
    if let Value::Map(entries) = &mut rest.value
        && !entries.iter().any(|(key, _)| key.value == "servers")
        && let Some((key, _)) = entries.iter_mut().find(|(key, _)| key.value == "server")
    {
        "servers".clone_into(&mut key.value);
    }
    rest
}

/// `{server}`, and no other key.
fn server_alone(rest: Node, report: &mut Report) -> Option<Spanned<TargetText>> {
    let mut decoder = Decoder { report, notation: &Literal };
    let mut fields = MappingReader::open(&mut decoder, rest, "a server of an upstream")?;
    fields.require(&["server"]);
    let server = fields.parsed("server", server);
    fields.close();
    server
}

/// `host:port`, or a URL where the upstream has such.
fn server(text: &str) -> Result<TargetText, ValueError> {
    let parsed = target::target(text)?;
    match parsed.port {
        0 => Err(ValueError::hint("is not a server", "write \"host:port\"")),
        _ => Ok(parsed),
    }
}

fn is_same(one: &TargetText, other: &TargetText) -> bool {
    (&one.host, one.port) == (&other.host, other.port)
}

fn rules(source: &Source) -> impl Iterator<Item = &RuleSource> {
    source.listeners.iter().flat_map(|listener| match &listener.protocol {
        ProtocolSource::Http(http) => &http.rules[..],
        ProtocolSource::Tcp(_) => &[],
    })
}

fn uses(rule: &RuleSource, upstream: &str) -> bool {
    let used = match &rule.action {
        Some(ActionSource::Proxy(proxy)) => &proxy.upstream,
        Some(ActionSource::Pass(pass)) => &pass.upstream,
        _ => return false,
    };
    matches!(used, UpstreamUse::Named(name) if name.text == upstream)
}
