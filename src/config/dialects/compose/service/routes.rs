//! The routes of one service, as its labels ask for them.

use super::draft::{self, Draft};
use crate::config::diagnostics::{Spanned, quoted};
use crate::config::dialects::compose::labels;
use crate::config::dialects::compose::networks::NetworkMap;
use crate::config::dialects::compose::project::{LabelError, Reader, Service};
use crate::config::dialects::compose::rejection::Names;
use crate::config::dialects::compose::route::{Destination, Host, Route, ServiceId};
use crate::config::syntax::Value;

/// The routes of a service, and whether one of them, or the service itself, is wrong. Errors are reported. A wrong
/// route with a known host becomes unavailable.
pub(crate) fn of(
    reader: &mut Reader<'_>,
    (map, names): (&NetworkMap<'_>, &Names),
    id: ServiceId,
    service: &Service,
) -> (Vec<Route>, bool) {
    let name = quoted(&service.name.value);
    let (all, mut own) = labels::read(&service.node);
    own.extend(service.broken.clone());
    if !matches!(service.node.value, Value::Map(_) | Value::Null) {
        own.push(LabelError::new(service.node.span, "a service is a mapping", "write `key: value`"));
    }
    for (label, meant) in labels::misspelled(&service.node) {
        let message = format!("{} is not a label for the gate", quoted(&label.value));
        reader.report.warning(Some(label.span), message, format!("did you mean `{meant}`?"));
    }
    for fault in &own {
        let message = format!("the service {name} is not served: {}", fault.message);
        reader.report.rejection(fault.span, message, fault.hint.as_str());
    }
    let mut routes = Vec::new();
    let mut rejected = !own.is_empty();
    let has_named = all.iter().any(|labels| labels.route.is_some());
    for labels in all.iter().filter(|labels| !(has_named && labels.only_lend())) {
        let what = match &labels.route {
            Some(route) => format!("the route {} of the service {name}", quoted(route)),
            None if has_named => format!("the plain route of the service {name}"),
            None => format!("the service {name}"),
        };
        for (doubt, first) in &labels.conflicting {
            let message = format!("{} says something else than another label", quoted(&doubt.value));
            let hint = format!("the one at {} counts; leave this one out", reader.report.place(*first));
            reader.report.warning(Some(doubt.span), message, hint);
        }
        let before = reader.report.count();
        let plain = all.iter().find(|other| other.route.is_none()).filter(|_| labels.route.is_some());
        let mut draft = draft::read(reader, map, id.0, service, (labels, plain));
        names.check(&mut draft.rule, reader.report);
        let fault = reader.report.reject_since(before, &what);
        rejected |= fault.is_some();
        let fault = fault.or(own.first().map(|fault| fault.message.clone()));
        routes.extend(by_host(draft, fault, id, &what));
    }
    (routes, rejected)
}

/// One route for each host of a draft.
fn by_host(draft: Draft, fault: Option<String>, service: ServiceId, what: &str) -> Vec<Route> {
    let Draft { hosts, leads_to, redirect_from, passthrough, rule, destination, shared } = draft;
    let destination = match (fault, destination) {
        (None, Some(destination)) => destination,
        (fault, _) => {
            let why = fault.unwrap_or("its target is not known".to_owned());
            Destination::Unavailable(format!("{what} is not served: {why}"))
        }
    };
    let route = |(index, Spanned { value: host, span }): (usize, Spanned<Host>)| Route {
        span,
        host,
        rule: rule.clone(),
        redirect_from: if index == leads_to { redirect_from.clone() } else { Vec::new() },
        passthrough,
        destination: destination.clone(),
        shared: shared.clone(),
        service,
        what: what.to_owned(),
    };
    hosts.into_iter().enumerate().map(route).collect()
}
