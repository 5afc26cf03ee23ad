//! Routes that come, and routes that go.

use std::sync::Arc;

use super::entry::{Outcome, entry};
use super::text::Literal;
use crate::config::decode::{Decoder, MappingReader, Text};
use crate::config::diagnostics::{Report, Span};
use crate::config::dialects::locci::{self, Route};
use crate::config::plan::{Conflict, PoliciesWritten};
use crate::config::source::{HttpSource, ListenerSource, ProtocolSource, RuleSource, Source};
use crate::config::syntax::Node;

/// Adds a route. It comes before the rules of a lower rank, and else behind all others.
pub(super) fn add(node: Node, source: &mut Source, report: &mut Report) -> Outcome {
    let Some(entry) = entry(node, true, report) else { return Outcome::Invalid };
    let mut decoder = Decoder { report, notation: &Literal };
    let Some(route) = locci::route(&mut decoder, entry.name.clone(), entry.rest) else {
        return Outcome::Invalid;
    };
    let place = entry.name.span;
    let listener = match listener(source, entry.listener.as_ref(), place) {
        Ok(listener) => listener,
        Err(unfit) => return unfit,
    };
    let (name, http) = listener;
    if http.rules.iter().any(|rule| is_named(rule, &entry.name.value)) {
        let message = format!("the listener `{name}` has a route `{}` already", entry.name.value);
        return Outcome::Needless(Conflict::Taken, place, message);
    }
    let (policies, excluded) = match policies(&route, http) {
        Ok(policies) => policies,
        Err(unfit) => return unfit,
    };
    let rules = locci::of_route(&route, &policies, &excluded);
    let upstream = route.upstream;
    let rank = rules.first().and_then(|rule| rule.rank);
    let is_lower = |rule: &RuleSource| rule.rank.is_some_and(|other| Some(other) < rank);
    let at = http.rules.iter().position(is_lower).unwrap_or(http.rules.len());
    if !source.upstreams.iter().any(|one| *one.name.value == *upstream.text) {
        let message = format!("there is no upstream {}", upstream.shown());
        return Outcome::Unfit(upstream.span, message, "add it first, or name one that is there");
    }
    if let Ok((_, http)) = self::listener(source, entry.listener.as_ref(), place) {
        http.rules.splice(at..at, rules);
    }
    Outcome::Applied(true)
}

/// The policies that a route names, from those of its listener, and the paths that need no token.
fn policies(route: &Route, http: &HttpSource) -> Result<(PoliciesWritten, Vec<Arc<str>>), Outcome> {
    let (mut all, mut excluded) = (PoliciesWritten::default(), Vec::new());
    for kind in &route.middlewares {
        let name = kind.value.name();
        let Some(named) = http.middlewares.iter().find(|known| known.name == name) else {
            let message = format!("this listener has no middleware `{name}` for a route of the API");
            let hint = "write it under `middlewares` of `api_gateway`, and `authentication` at a route too";
            return Err(Outcome::Unfit(kind.span, message, hint));
        };
        all = all.over(&named.policies);
        excluded.extend(named.excluded.iter().cloned());
    }
    Ok((all, excluded))
}

/// Removes a route of the files.
pub(super) fn remove(node: Node, source: &mut Source, report: &mut Report) -> Outcome {
    let Some(entry) = entry(node, true, report) else { return Outcome::Invalid };
    let mut decoder = Decoder { report, notation: &Literal };
    match MappingReader::open(&mut decoder, entry.rest, "a removed route") {
        Some(fields) => fields.close(),
        None => return Outcome::Invalid,
    }
    let (name, place) = (entry.name.value, entry.name.span);
    let is_it = |listener: &&mut ListenerSource| {
        entry.listener.as_ref().is_none_or(|wanted| is_listener(listener, &wanted.text))
            && matches!(&listener.protocol, ProtocolSource::Http(http) if http.rules.iter().any(|rule| is_named(rule, &name)))
    };
    let mut found: Vec<_> = source.listeners.iter_mut().filter(is_it).collect();
    match &mut found[..] {
        [] => {
            let message = format!("no route of the files has the name `{name}`");
            Outcome::Needless(Conflict::Missing, place, message)
        }
        [listener] => {
            if let ProtocolSource::Http(http) = &mut listener.protocol {
                let is_part = |rule: &RuleSource| {
                    rule.rank.is_some()
                        && rule.name.as_ref().is_some_and(|own| locci::is_of_route(&own.value, &name))
                };
                http.rules.retain(|rule| !is_named(rule, &name) && !is_part(rule));
            }
            Outcome::Applied(false)
        }
        _ => {
            let message = format!("several listeners have a route `{name}`");
            Outcome::Unfit(place, message, "name one of them with `listener`")
        }
    }
}

/// The HTTP listener that a change names, else the only one, else the one named `http`.
fn listener<'a>(
    source: &'a mut Source,
    wanted: Option<&Text>,
    place: Span,
) -> Result<(String, &'a mut HttpSource), Outcome> {
    let is_http = |one: &ListenerSource| matches!(one.protocol, ProtocolSource::Http(_));
    let count = source.listeners.iter().filter(|one| is_http(one)).count();
    let wanted_name = wanted.map_or("http", |wanted| &wanted.text);
    let is_it = |one: &ListenerSource| {
        is_http(one) && (is_listener(one, wanted_name) || (wanted.is_none() && count == 1))
    };
    let found = source.listeners.iter_mut().find(|one| is_it(one));
    if let Some(ListenerSource { name, protocol: ProtocolSource::Http(http), .. }) = found {
        return Ok((name.as_ref().map_or_else(String::new, |name| name.value.to_string()), http));
    }
    Err(match wanted {
        Some(wanted) => {
            let message = format!("there is no HTTP listener {}", wanted.shown());
            Outcome::Unfit(wanted.span, message, "`smolgate routes` prints the listeners")
        }
        None => {
            Outcome::Unfit(place, "it is not clear which listener is meant".into(), "add `listener: NAME`")
        }
    })
}

fn is_listener(listener: &ListenerSource, name: &str) -> bool {
    listener.name.as_ref().is_some_and(|own| &*own.value == name)
}

fn is_named(rule: &RuleSource, name: &str) -> bool {
    rule.name.as_ref().is_some_and(|own| &*own.value == name)
}
