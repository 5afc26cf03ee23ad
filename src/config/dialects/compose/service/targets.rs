//! The target of a route: its labels tell it, or the ports of its service.

use super::ports;
use super::values::Values;
use crate::config::diagnostics::{Span, quoted};
use crate::config::dialects::compose::labels::Key;
use crate::config::dialects::compose::networks::NetworkMap;
use crate::config::dialects::compose::project::{Reader, Service};
use crate::config::plan::{Scheme, TargetHost};
use crate::config::source::UpstreamUse;
use crate::config::syntax::{Node, Value};
use crate::config::values::ValueError;
use crate::config::values::target::{self, TargetText};

/// The context for finding the target of a route.
pub(super) struct Seeker<'s, 'p> {
    pub(super) map: &'s NetworkMap<'p>,
    pub(super) project: usize,
    pub(super) service: &'s Service,
    /// The place of the route.
    pub(super) place: Span,
}

impl Seeker<'_, '_> {
    /// The place and the value of the key `target` or `pass`. `None` if it is wrong or not known.
    pub(super) fn target(&self, values: &mut Values<'_, '_>, passthrough: bool) -> Option<(Span, Node)> {
        let Targets { parse, form } = if passthrough { OF_CONNECTIONS } else { OF_REQUESTS };
        let scheme = values.parsed(Key::Scheme, scheme).filter(|_| !passthrough);
        if let Some((span, node)) = values.node(Key::Target) {
            let hint = "write the port behind the host of `target`";
            values.error(Key::Port, "`port` means nothing beside `target`", hint);
            let hint = "write it in front of the host: `target: https://...`";
            values.error(Key::Scheme, "`scheme` means nothing beside `target`", hint);
            let target = values.parsed(Key::Target, parse)?.value;
            check_tls(values, target.scheme.is_some_and(Scheme::is_encrypted));
            self.warn_of_localhost(values, span, &target.host);
            return Some((span, node));
        }
        let is_tls = scheme.is_some_and(|scheme| scheme.value.is_encrypted());
        if !passthrough {
            check_tls(values, is_tls);
        }
        let Seeker { map, project, service, place } = *self;
        // An unknown label is probably the one that would have set the target.
        let is_guess = service.broken.is_some() || !values.labels.faults.is_empty();
        let port = match values.labels.get(Key::Port) {
            Some(_) => Ok(values.parsed(Key::Port, ports::port)?.value),
            None if is_guess => return None,
            None => ports::infer(values.reader, &service.node, place),
        };
        if let (Ok(port), None, false) = (&port, values.labels.get(Key::Port), passthrough) {
            self.warn_of_other_protocol(values, *port);
        }
        let host = port.and_then(|port| Ok((map.host(values.reader, project, service, place, form)?, port)));
        match host {
            Ok((host, port)) => {
                let scheme = if is_tls { "https://" } else { "" };
                Some((place, Node::new(place, Value::Scalar(format!("{scheme}{host}:{port}")))))
            }
            Err(fault) => {
                values.reader.report.error_hint(fault.span, fault.message, fault.hint);
                None
            }
        }
    }
}

impl Seeker<'_, '_> {
    /// Warns of a target on the machine itself, which is the container of the gate.
    fn warn_of_localhost(&self, values: &mut Values<'_, '_>, span: Span, host: &TargetHost) {
        let is_local = match host {
            TargetHost::Name(name) => &**name == "localhost",
            TargetHost::Address(address) => address.is_loopback(),
            TargetHost::Unix(_) => false,
        };
        if is_local && values.reader.inputs.is_in_container() && self.map.gate_is_alone(values.reader) {
            let message = "in the container of the gate, this address is the gate itself";
            let hint = "name the service and its port; a program of the machine is `host.docker.internal`, with \
                        `extra_hosts: [\"host.docker.internal:host-gateway\"]` on the service of the gate";
            values.reader.report.warning(Some(span), message, hint);
        }
    }

    /// Warns of a port that no label names and that is probably not for HTTP.
    fn warn_of_other_protocol(&self, values: &mut Values<'_, '_>, port: u16) {
        let Some(protocol) = ports::other_protocol(port) else { return };
        let name = &self.service.name.value;
        let message = format!(
            "{} is routed over HTTP, and its only port is {port}, which is for {protocol}",
            quoted(name)
        );
        let hint = format!(
            "write `smolgate.port: {port}` if it speaks HTTP; for {protocol}, take the labels off and add a listener \
             with `protocol: tcp` and `target: {name}:{port}` to a native file"
        );
        values.reader.report.warning(Some(self.place), message, hint);
    }
}

/// A value for a target that is not known, so that the other keys are read and checked all the same.
pub(super) fn unknown(place: Span) -> Node {
    Node::new(place, Value::Scalar("unknown:1".to_owned()))
}

/// Reports labels about TLS to a target without TLS.
fn check_tls(values: &mut Values<'_, '_>, is_tls: bool) {
    let hint = match values.labels.get(Key::Target) {
        Some(_) => "write `https://` in its `target`",
        None => "add `scheme: https`",
    };
    for label in values.labels.labels.iter().filter(|_| !is_tls) {
        if let Key::Upstream("tls.ca" | "tls.insecure_skip_verify" | "tls.sni") = label.key {
            let message = format!("`{}` means nothing for a service without TLS", label.word);
            values.reader.report.error_hint(label.span, message, hint);
        }
    }
}

/// Reports keys that mean nothing for the target, and a file of authorities that holds none. Found later, these errors
/// would keep the gate from starting, and with it every other service from being served.
pub(super) fn check(reader: &mut Reader<'_>, upstream: &UpstreamUse, is_passed_on: bool) {
    let UpstreamUse::Inline(inline) = upstream else { return };
    inline.policy.check_ports(&inline.targets, reader.report);
    inline.policy.check(is_passed_on, reader.report);
    let Some(tls) = &inline.tls else { return };
    let Some(ca) = &tls.value.ca else { return };
    let (why, hint) = match reader.inputs.read(ca) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => return,
        Ok(_) => {
            ("holds no certificate".to_owned(), "write the certificates of the authorities into it, as PEM")
        }
        Err(error) => {
            let hint = "a relative path starts from the folder of the compose file";
            (format!("cannot be read: {error}"), hint)
        }
    };
    reader.report.error_hint(tls.span, format!("{} {why}", ca.display()), hint);
}

fn scheme(text: &str) -> Result<Scheme, ValueError> {
    match text {
        "http" => Ok(Scheme::Http),
        "https" => Ok(Scheme::Https),
        "h2c" => target::spoken(Scheme::H2c),
        "h2" => target::spoken(Scheme::H2),
        _ => Err(ValueError::hint("is not a scheme of services", "write http, https, h2c or h2")),
    }
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
        Some(scheme) if scheme.is_http() => {
            Err(ValueError::hint("is for requests, and `passthrough` passes bytes on", FORM))
        }
        _ => Ok(target),
    }
}
