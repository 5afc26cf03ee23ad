//! What the labels of one service ask for, route by route.

use std::sync::Arc;

use super::labels::{self, Key, Labels};
use super::network::Map;
use super::ports;
use super::project::Service;
use super::reader::{Fault, Reader};
use crate::config::plan::{HostPattern, Scheme};
use crate::config::report::{At, Spot};
use crate::config::scalar::Wrong;
use crate::config::settings::flag;
use crate::config::target::{self, TargetText};
use crate::config::yaml::{Value, quoted};
use crate::config::{field, pattern};

/// One host and path, and where it leads.
pub(super) struct Route {
    /// The place of the label that names the host.
    pub(super) spot: Spot,
    pub(super) host: HostPattern,
    pub(super) path: Arc<str>,
    /// Hosts that are sent to `host`.
    pub(super) redirect_from: Vec<At<HostPattern>>,
    pub(super) leads: Leads,
}

/// Where a route leads.
pub(super) enum Leads {
    To {
        target: At<TargetText>,
        pass_host: bool,
        strip_prefix: bool,
    },
    /// Nowhere, and why: the answer says it.
    Nowhere(String),
}

/// The routes of a service, and whether one of them, or the service itself, is wrong. What is wrong
/// is reported; a route of which the host is known leads nowhere then.
pub(super) fn of(
    reader: &mut Reader<'_>,
    map: &Map<'_>,
    project: usize,
    service: &Service,
) -> (Vec<Route>, bool) {
    let name = quoted(&service.name.value);
    let (all, mut own) = labels::read(&service.node);
    own.extend(service.broken.clone());
    if !matches!(service.node.value, Value::Map(_) | Value::Null) {
        own.push(Fault::new(service.node.spot, "a service is a mapping", "write `key: value`"));
    }
    let mut routes = Vec::new();
    let mut rejected = !own.is_empty();
    for fault in &own {
        let message = format!("the service {name} is not served: {}", fault.message);
        reader.report.rejection(fault.spot, message, fault.hint.as_str());
    }
    for one in &all {
        let what = match &one.route {
            Some(route) => format!("the route {} of the service {name}", quoted(route)),
            None => format!("the service {name}"),
        };
        for doubt in &one.doubts {
            let message = format!("{} says something else than the label before it", quoted(&doubt.value));
            reader.report.warning(Some(doubt.spot), message, "`smolgate.` counts; leave this one out");
        }
        let draft = draft(reader, map, project, service, one, &all);
        for fault in &draft.faults {
            let message = format!("{what} is not served: {}", fault.message);
            reader.report.rejection(fault.spot, message, fault.hint.as_str());
        }
        rejected |= !draft.faults.is_empty();
        let Some(host) = draft.host else { continue };
        let leads = match (draft.faults.first().or(own.first()), draft.target) {
            (None, Some(target)) => {
                Leads::To { target, pass_host: draft.pass_host, strip_prefix: draft.strip_prefix }
            }
            (fault, _) => {
                let why = fault.map_or("its target is not known", |fault| fault.message.as_str());
                Leads::Nowhere(format!("{what} is not served: {why}"))
            }
        };
        let path = draft.path.unwrap_or_else(|| "/".into());
        routes.push(Route {
            spot: host.spot,
            host: host.value,
            path,
            redirect_from: draft.redirect_from,
            leads,
        });
    }
    (routes, rejected)
}

/// A route while its labels are read.
#[derive(Default)]
struct Draft {
    faults: Vec<Fault>,
    host: Option<At<HostPattern>>,
    path: Option<Arc<str>>,
    redirect_from: Vec<At<HostPattern>>,
    pass_host: bool,
    strip_prefix: bool,
    target: Option<At<TargetText>>,
}

fn draft(
    reader: &mut Reader<'_>,
    map: &Map<'_>,
    project: usize,
    service: &Service,
    labels: &Labels,
    all: &[Labels],
) -> Draft {
    let mut draft = Draft { faults: labels.faults.clone(), ..Draft::default() };
    let mut values = Values { reader, labels, faults: &mut draft.faults };
    draft.host = values.parsed(Key::Host, host);
    if labels.get(Key::Host).is_none() {
        let message = "it has no `host`".to_owned();
        // A misspelt label is likely the one that is missing.
        if labels.faults.is_empty() {
            let spot = labels.spot().unwrap_or(service.name.spot);
            values.faults.push(Fault::new(spot, message, "add the label `host` with the domain it is for"));
        }
    }
    draft.path = values.parsed(Key::Path, pattern::path_prefix).map(|path| path.value);
    draft.pass_host = values.flag(Key::Passhost);
    draft.strip_prefix = values.flag(Key::StripPrefix);
    if draft.strip_prefix && draft.path.as_deref().is_none_or(|path| path == "/") {
        values.warn(
            Key::StripPrefix,
            "`strip_prefix` means nothing without `path`",
            "add the `path` to be taken off",
        );
        draft.strip_prefix = false;
    }
    if values.flag(Key::Passthrough) {
        values.fault(
            Key::Passthrough,
            "`passthrough` is not served by this version",
            "let the gate speak HTTP to it, or wait for the version that passes TLS through",
        );
    } else {
        let hint = "leave it out; `port` is the one that is used";
        values.parsed(Key::PortHttp, ports::port);
        values.warn(Key::PortHttp, "`port.http` means nothing without `passthrough`", hint);
    }
    draft.redirect_from = redirects(&mut values, draft.host.as_ref());
    let place = draft.host.as_ref().map(|host| host.spot).or(labels.spot()).unwrap_or(service.name.spot);
    let lends = all.iter().find(|other| other.route.is_none()).filter(|_| labels.route.is_some());
    draft.target = leads_to(values, map, project, service, lends, place);
    draft
}

/// The target of a route: its own labels, else those of the plain route, else what can be inferred.
fn leads_to(
    values: Values<'_, '_, '_>,
    map: &Map<'_>,
    project: usize,
    service: &Service,
    lends: Option<&Labels>,
    place: Spot,
) -> Option<At<TargetText>> {
    let mut values = values;
    if values.labels.get(Key::Port).is_none()
        && values.labels.get(Key::Target).is_none()
        && let Some(plain) = lends
    {
        values.labels = plain;
    }
    if values.labels.get(Key::Target).is_some() {
        if values.labels.get(Key::Port).is_some() {
            values.fault(
                Key::Port,
                "`port` means nothing beside `target`",
                "write the port behind the host of `target`",
            );
        }
        let target = values.parsed(Key::Target, http_target)?;
        return Some(target);
    }
    // A label that is not known is likely the one that says what would be inferred.
    let is_guess = service.broken.is_some() || !values.labels.faults.is_empty();
    let port = match values.labels.get(Key::Port) {
        Some(_) => values.parsed(Key::Port, ports::port)?.value,
        None if is_guess => return None,
        None => match ports::infer(values.reader, &service.node, place) {
            Ok(port) => port,
            Err(fault) => {
                values.faults.push(fault);
                return None;
            }
        },
    };
    match map.host(values.reader, project, service, place) {
        Ok(host) => {
            let value = TargetText { scheme: Some(Scheme::Http), host, port, base_path: "".into() };
            Some(At { value, spot: place })
        }
        Err(fault) => {
            values.faults.push(fault);
            None
        }
    }
}

/// The labels of a route as values; what is wrong with one is a fault.
struct Values<'v, 'r, 'a> {
    reader: &'v mut Reader<'a>,
    labels: &'r Labels,
    faults: &'v mut Vec<Fault>,
}

impl Values<'_, '_, '_> {
    /// What a label says. Its place is that of the label's name.
    fn parsed<T>(&mut self, key: Key, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<At<T>> {
        let label = self.labels.get(key)?;
        if let Value::Null = label.value.value {
            self.faults.push(Fault::new(
                label.spot,
                "this label has no value",
                "give it one, or leave it out",
            ));
            return None;
        }
        let result = self.reader.text(&label.value).and_then(|text| {
            parse(text.text.trim()).map_err(|wrong| {
                if wrong == target::USERINFO {
                    // It may well hold a password.
                    self.reader.report.mask(text.spot);
                    return Fault::new(
                        text.spot,
                        format!("this {}", wrong.problem),
                        wrong.hint.unwrap_or_default(),
                    );
                }
                let message = format!("{} {}", text.shown(), wrong.problem);
                let hint = wrong.hint.unwrap_or_default().replace("`path_prefix`", "`path`");
                Fault::new(text.spot, message, hint)
            })
        });
        match result {
            Ok(value) => Some(At { value, spot: label.spot }),
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }

    fn flag(&mut self, key: Key) -> bool {
        self.parsed(key, flag).is_some_and(|flag| flag.value)
    }

    fn fault(&mut self, key: Key, message: &str, hint: &str) {
        if let Some(label) = self.labels.get(key) {
            self.faults.push(Fault::new(label.spot, message, hint));
        }
    }

    fn warn(&mut self, key: Key, message: &str, hint: &str) {
        if let Some(label) = self.labels.get(key) {
            self.reader.report.warning(Some(label.spot), message, hint);
        }
    }
}

/// `redirect_from`: hosts between commas. They are sent to `host`, which must be one host then.
fn redirects(values: &mut Values<'_, '_, '_>, host: Option<&At<HostPattern>>) -> Vec<At<HostPattern>> {
    let list = values.parsed(Key::RedirectFrom, |text| {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(pattern::host).collect::<Result<Vec<_>, _>>()
    });
    let Some(At { value: hosts, spot }) = list else { return Vec::new() };
    match host.map(|host| &host.value) {
        Some(HostPattern::Wildcard(_)) => {
            values.fault(
                Key::RedirectFrom,
                "`redirect_from` needs a `host` without `*` to lead to",
                "write one host",
            );
            return Vec::new();
        }
        Some(own) if hosts.contains(own) => {
            values.fault(
                Key::RedirectFrom,
                "`redirect_from` names the host itself, which would never end",
                "leave it out of the list",
            );
            return Vec::new();
        }
        // `80` may be matched, and no browser would go there.
        Some(own) if field::location(&format!("http://{own}")).is_err() => {
            let message = "`redirect_from` needs a `host` that can stand in a URL";
            values.fault(Key::RedirectFrom, message, "leave it out, or write a name as `host`");
            return Vec::new();
        }
        None => return Vec::new(),
        Some(_) => {}
    }
    hosts.into_iter().map(|value| At { value, spot }).collect()
}

fn host(text: &str) -> Result<HostPattern, Wrong> {
    if text.contains(',') {
        return Err(Wrong::hint(
            "is more than one host",
            "a second one is a route of its own: `smolgate.NAME.host`; `redirect_from` takes a list",
        ));
    }
    if text == "*" {
        return Err(Wrong::hint(
            "is not a host",
            "write a domain, or `*.` and a domain for one label before it",
        ));
    }
    pattern::host(text)
}

fn http_target(text: &str) -> Result<TargetText, Wrong> {
    let target = target::target(text)?;
    match target.scheme {
        Some(Scheme::Tcp) => Err(Wrong::hint("is for bytes, and a route speaks HTTP", "write `http://`")),
        _ => Ok(target),
    }
}
