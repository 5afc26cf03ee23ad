//! Reads the labels of one service into routes.

use std::sync::Arc;

use super::labels::{self, Key, Labels};
use super::networks::NetworkMap;
use super::ports;
use super::project::{LabelError, Reader, Service};
use crate::config::diagnostics::{Span, Spanned, quoted};
use crate::config::plan::{HostPattern, Scheme};
use crate::config::syntax::Value;
use crate::config::values::environment::flag;
use crate::config::values::target::{self, TargetText};
use crate::config::values::{ValueError, header, pattern};

/// A service, by the number of its project and its own number.
pub(super) type ServiceId = (usize, usize);

/// One host and path, and its destination.
pub(super) struct Route {
    /// The place of the label with the host.
    pub(super) span: Span,
    pub(super) host: HostPattern,
    pub(super) path: Arc<str>,
    /// Hosts that are redirected to `host`.
    pub(super) redirect_from: Vec<Spanned<HostPattern>>,
    /// Whether it asks for whole connections, TLS included. This is set for unavailable routes too.
    pub(super) passthrough: bool,
    pub(super) destination: Destination,
    pub(super) service: ServiceId,
    /// The service, and the route if it has a name, for messages.
    pub(super) what: String,
}

/// The destination of a route.
pub(super) enum Destination {
    Target {
        target: Spanned<TargetText>,
        pass_host: bool,
        strip_prefix: bool,
    },
    /// Whole connections. Those with TLS go to one port, those in the clear to another.
    Passthrough {
        tls: Spanned<TargetText>,
        clear: Spanned<TargetText>,
    },
    /// An error. The response tells it.
    Unavailable(String),
}

/// The routes of a service, and whether one of them, or the service itself, is wrong. Errors are reported. A wrong
/// route with a known host becomes unavailable.
pub(super) fn of(
    reader: &mut Reader<'_>,
    map: &NetworkMap<'_>,
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
    let mut routes = Vec::new();
    let mut rejected = !own.is_empty();
    for fault in &own {
        let message = format!("the service {name} is not served: {}", fault.message);
        reader.report.rejection(fault.span, message, fault.hint.as_str());
    }
    for one in &all {
        let what = match &one.route {
            Some(route) => format!("the route {} of the service {name}", quoted(route)),
            None => format!("the service {name}"),
        };
        for (doubt, first) in &one.conflicting {
            let message = format!("{} says something else than another label", quoted(&doubt.value));
            let hint = format!("the one at {} counts; leave this one out", reader.report.place(*first));
            reader.report.warning(Some(doubt.span), message, hint);
        }
        let draft = draft(reader, map, id.0, service, one, &all);
        for fault in &draft.faults {
            let message = format!("{what} is not served: {}", fault.message);
            reader.report.rejection(fault.span, message, fault.hint.as_str());
        }
        rejected |= !draft.faults.is_empty();
        let Some(host) = draft.host else { continue };
        let destination = match (draft.faults.first().or(own.first()), draft.destination) {
            (None, Some(destination)) => destination,
            (fault, _) => {
                let why = fault.map_or("its target is not known", |fault| fault.message.as_str());
                Destination::Unavailable(format!("{what} is not served: {why}"))
            }
        };
        routes.push(Route {
            span: host.span,
            host: host.value,
            path: draft.path.unwrap_or_else(|| "/".into()),
            redirect_from: draft.redirect_from,
            passthrough: draft.passthrough,
            destination,
            service: id,
            what,
        });
    }
    (routes, rejected)
}

/// A route while its labels are read.
#[derive(Default)]
struct Draft {
    faults: Vec<LabelError>,
    host: Option<Spanned<HostPattern>>,
    path: Option<Arc<str>>,
    redirect_from: Vec<Spanned<HostPattern>>,
    passthrough: bool,
    destination: Option<Destination>,
}

fn draft(
    reader: &mut Reader<'_>,
    map: &NetworkMap<'_>,
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
        // A misspelt label is probably the missing one.
        if labels.faults.is_empty() {
            let span = labels.span().unwrap_or(service.name.span);
            values.faults.push(LabelError::new(
                span,
                message,
                "add the label `host` with the domain it is for",
            ));
        }
    }
    // A route with an invalid `passthrough` is not to be decrypted either.
    let asks = labels.get(Key::Passthrough).is_some();
    draft.passthrough = values.parsed(Key::Passthrough, flag).map_or(asks, |flag| flag.value);
    draft.redirect_from = redirects(&mut values, draft.host.as_ref());
    let place = draft.host.as_ref().map(|host| host.span).or(labels.span()).unwrap_or(service.name.span);
    let lends = all.iter().find(|other| other.route.is_none()).filter(|_| labels.route.is_some());
    let seeker = Seeker { map, project, service, lends, place };
    if draft.passthrough {
        draft.destination = through(values, &seeker);
        return draft;
    }
    draft.path = values.parsed(Key::Path, pattern::path_prefix).map(|path| path.value);
    let pass_host = values.parsed(Key::Passhost, flag).map_or(labels.passes_host(), |flag| flag.value);
    let mut strip_prefix = values.flag(Key::StripPrefix);
    if strip_prefix && draft.path.as_deref().is_none_or(|path| path == "/") {
        let message = "`strip_prefix` means nothing without `path`";
        values.warn(Key::StripPrefix, message, "add the `path` to be taken off");
        strip_prefix = false;
    }
    let hint = "leave it out; `port` is the one that is used";
    values.parsed(Key::PortHttp, ports::port);
    values.warn(Key::PortHttp, "`port.http` means nothing without `passthrough`", hint);
    let target = seeker.target(&mut values, OF_REQUESTS);
    draft.destination = target.map(|target| Destination::Target { target, pass_host, strip_prefix });
    draft
}

/// The destination of whole connections. Labels that would need a look into them mean nothing.
fn through<'s>(mut values: Values<'_, 's, '_>, seeker: &Seeker<'s, '_>) -> Option<Destination> {
    for (key, word) in [(Key::Path, "path"), (Key::StripPrefix, "strip_prefix"), (Key::Passhost, "passhost")]
    {
        let message = format!("`{word}` means nothing beside `passthrough`");
        values.warn(key, &message, "leave it out: the whole connection is passed on as it is");
    }
    let own = values.parsed(Key::PortHttp, ports::port);
    let tls = seeker.target(&mut values, OF_CONNECTIONS);
    // If the plain route lent its port, these are now its labels.
    let port = own.or_else(|| values.parsed(Key::PortHttp, ports::port));
    let tls = tls?;
    let mut clear = tls.clone();
    if let Some(port) = port {
        clear = Spanned { value: TargetText { port: port.value, ..clear.value }, span: port.span };
    }
    Some(Destination::Passthrough { tls, clear })
}

/// The context for finding the target of a route.
struct Seeker<'s, 'p> {
    map: &'s NetworkMap<'p>,
    project: usize,
    service: &'s Service,
    /// The labels of the plain route, for a route with a name.
    lends: Option<&'s Labels>,
    place: Span,
}

impl<'s> Seeker<'s, '_> {
    /// The target from the route's own labels, else from those of the plain route, else inferred. If the plain
    /// route lends it, `values` refers to its labels from then on.
    fn target(
        &self,
        values: &mut Values<'_, 's, '_>,
        Targets { parse, form }: Targets,
    ) -> Option<Spanned<TargetText>> {
        if values.labels.get(Key::Port).is_none()
            && values.labels.get(Key::Target).is_none()
            && let Some(plain) = self.lends
        {
            values.labels = plain;
        }
        if values.labels.get(Key::Target).is_some() {
            let hint = "write the port behind the host of `target`";
            values.fault(Key::Port, "`port` means nothing beside `target`", hint);
            return values.parsed(Key::Target, parse);
        }
        let Seeker { map, project, service, place, .. } = *self;
        // An unknown label is probably the one that would have set the target.
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
        match map.host(values.reader, project, service, place, form) {
            Ok(host) => {
                let value = TargetText { scheme: None, host, port, base_path: "".into() };
                Some(Spanned { value, span: place })
            }
            Err(fault) => {
                values.faults.push(fault);
                None
            }
        }
    }
}

/// The labels of a route as values. Errors are collected as faults.
struct Values<'v, 'r, 'a> {
    reader: &'v mut Reader<'a>,
    labels: &'r Labels,
    faults: &'v mut Vec<LabelError>,
}

impl Values<'_, '_, '_> {
    /// The value of a label. Its place is that of the label's name.
    fn parsed<T>(&mut self, key: Key, parse: impl Fn(&str) -> Result<T, ValueError>) -> Option<Spanned<T>> {
        let label = self.labels.get(key)?;
        if let Value::Null = label.value.value {
            self.faults.push(LabelError::new(
                label.span,
                "this label has no value",
                "give it one, or leave it out",
            ));
            return None;
        }
        let result = self.reader.text(&label.value).and_then(|text| {
            parse(text.text.trim()).map_err(|error| {
                if error == target::USERINFO {
                    // The value may hold a password.
                    self.reader.report.mask(text.span);
                    return LabelError::new(
                        text.span,
                        format!("this {}", error.problem),
                        error.hint.unwrap_or_default(),
                    );
                }
                let message = format!("{} {}", text.shown(), error.problem);
                let hint = error.hint.unwrap_or_default().replace("`path_prefix`", "`path`");
                LabelError::new(text.span, message, hint)
            })
        });
        match result {
            Ok(value) => Some(Spanned { value, span: label.span }),
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
            self.faults.push(LabelError::new(label.span, message, hint));
        }
    }

    fn warn(&mut self, key: Key, message: &str, hint: &str) {
        if let Some(label) = self.labels.get(key) {
            self.reader.report.warning(Some(label.span), message, hint);
        }
    }
}

/// `redirect_from`: hosts between commas. They are redirected to `host`, which must be a single host then.
fn redirects(
    values: &mut Values<'_, '_, '_>,
    host: Option<&Spanned<HostPattern>>,
) -> Vec<Spanned<HostPattern>> {
    let list = values.parsed(Key::RedirectFrom, |text| {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(pattern::host).collect::<Result<Vec<_>, _>>()
    });
    let Some(Spanned { value: hosts, span }) = list else { return Vec::new() };
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
        // A rule may match `80`, but no browser would go there.
        Some(own) if header::location(&format!("http://{own}")).is_err() => {
            let message = "`redirect_from` needs a `host` that can stand in a URL";
            values.fault(Key::RedirectFrom, message, "leave it out, or write a name as `host`");
            return Vec::new();
        }
        None => return Vec::new(),
        Some(_) => {}
    }
    hosts.into_iter().map(|value| Spanned { value, span }).collect()
}

fn host(text: &str) -> Result<HostPattern, ValueError> {
    if text.contains(',') {
        return Err(ValueError::hint(
            "is more than one host",
            "a second one is a route of its own: `smolgate.NAME.host`; `redirect_from` takes a list",
        ));
    }
    if text == "*" {
        return Err(ValueError::hint(
            "is not a host",
            "write a domain, or `*.` and a domain for one label before it",
        ));
    }
    pattern::host(text)
}

/// The syntax of the targets of a route, and an example.
struct Targets {
    parse: fn(&str) -> Result<TargetText, ValueError>,
    form: &'static str,
}

const OF_REQUESTS: Targets = Targets { parse: http_target, form: "http://HOST:PORT" };
const OF_CONNECTIONS: Targets = Targets { parse: raw_target, form: "HOST:PORT" };

fn http_target(text: &str) -> Result<TargetText, ValueError> {
    let target = target::target(text)?;
    match target.scheme {
        Some(Scheme::Tcp) => {
            Err(ValueError::hint("is for bytes, and a route speaks HTTP", "write `http://`"))
        }
        _ => Ok(target),
    }
}

fn raw_target(text: &str) -> Result<TargetText, ValueError> {
    const FORM: &str = "write `HOST:PORT`";
    let target = target::target(text).map_err(|error| match error {
        target::USERINFO => error,
        _ => ValueError { hint: error.hint.and(Some(FORM)), ..error },
    })?;
    match target.scheme {
        Some(Scheme::Http | Scheme::Https) => {
            Err(ValueError::hint("is for requests, and `passthrough` passes bytes on", FORM))
        }
        _ => Ok(target),
    }
}
