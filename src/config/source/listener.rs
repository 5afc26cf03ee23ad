//! Listeners as written, in the short form and in the long one.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::messages::headers;
use super::policies;
use super::rule::{self, RuleSource};
use super::tls::{self, TlsSource};
use super::upstream::{UpstreamUse, upstream_use};
use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::{Span, Spanned};
use crate::config::plan::{
    Bind, ClientGone, GlobalWritten, HeadersWritten, HttpWritten, LimitsWritten, PoliciesWritten,
    ProxyProtocol, ReadPolicy, RedirectToHttps, RequestLimit,
};
use crate::config::syntax::{Node, Value};
use crate::config::values::{ValueError, networks, scalar, target};
use crate::http::CaptureNames;

/// One listener in either form.
pub(crate) struct ListenerSource {
    pub(crate) span: Span,
    /// `None` if it was missing or wrong, which was reported.
    pub(crate) name: Option<Spanned<Arc<str>>>,
    pub(crate) binds: Vec<Spanned<Bind>>,
    pub(crate) shutdown_timeout: Option<Spanned<Duration>>,
    pub(crate) tls: Option<TlsSource>,
    pub(crate) accept_proxy_protocol: Vec<IpNet>,
    pub(crate) protocol: ProtocolSource,
}

/// The protocol of a listener.
pub(crate) enum ProtocolSource {
    Http(Box<HttpSource>),
    Tcp(Box<TcpSource>),
}

/// Policies that routes of the control API may name.
#[allow(dead_code, reason = "the overlay alone reads them")]
pub(crate) struct NamedPolicies {
    pub(crate) name: &'static str,
    pub(crate) policies: PoliciesWritten,
    /// The paths that need no token.
    pub(crate) excluded: Vec<Arc<str>>,
}

/// The keys of an HTTP listener.
#[derive(Default)]
pub(crate) struct HttpSource {
    pub(crate) rules: Vec<RuleSource>,
    pub(crate) settings: HttpWritten,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) client_gone: ClientGone,
    pub(crate) redirect_to_https: Option<RedirectToHttps>,
    pub(crate) limits: LimitsWritten,
    pub(crate) headers: HeadersWritten,
    /// The limit on all requests of the listener together.
    pub(crate) max_requests: Option<Arc<RequestLimit>>,
    /// The policies of its rules that have no other.
    pub(crate) policies: PoliciesWritten,
    /// Names of sets of policies.
    pub(crate) policy: Vec<Spanned<Arc<str>>>,
    /// Policies that rules of the control API may name.
    #[allow(dead_code, reason = "the overlay alone reads it")]
    pub(crate) middlewares: Vec<NamedPolicies>,
}

/// The keys of a TCP listener.
pub(crate) struct TcpSource {
    /// `None` if it was missing or wrong, which was reported.
    pub(crate) upstream: Option<UpstreamUse>,
    pub(crate) send_proxy_protocol: Option<ProxyProtocol>,
    pub(crate) idle_timeout: Option<Spanned<Duration>>,
    /// Its speed alone.
    pub(crate) policies: PoliciesWritten,
}

/// `listeners:`, a list.
pub(super) fn listeners(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<ListenerSource>> {
    let items = decoder.list(node, "a list of listeners");
    Some(items.into_iter().filter_map(|item| listener(decoder, item)).collect())
}

fn listener(decoder: &mut Decoder<'_>, node: Node) -> Option<ListenerSource> {
    let mut fields = MappingReader::open(decoder, node, "a listener")?;
    fields.require(&["name"]);
    refuse_top_level(&mut fields);
    let name = fields.parsed("name", scalar::name);
    let protocol = fields.parsed("protocol", |text| match text {
        "http" => Ok(false),
        "tcp" => Ok(true),
        _ => Err(ValueError::hint("is not a protocol", "write http or tcp")),
    });
    let is_tcp = protocol.is_some_and(|tcp| tcp.value);
    fields.what = if is_tcp { "a TCP listener" } else { "an HTTP listener" };
    fields.require(&["bind"]);
    let binds = fields.field("bind", binds).unwrap_or_default();
    let shutdown_timeout = fields.parsed("shutdown_timeout", scalar::duration);
    let tls = tls::listener_tls(&mut fields);
    let accept_proxy_protocol = networks(&mut fields, "accept_proxy_protocol");
    let protocol = if is_tcp {
        ProtocolSource::Tcp(Box::new(tcp_keys(&mut fields)))
    } else {
        let hint = "rules say where requests go; `protocol: tcp` makes this a TCP listener";
        fields.not_here(&TARGETS, "means nothing on an HTTP listener", hint);
        let rules = fields.field("rules", rule::rules).unwrap_or_default();
        ProtocolSource::Http(Box::new(http_keys(&mut fields, rules)))
    };
    let span = fields.span;
    fields.close();
    Some(ListenerSource { span, name, binds, shutdown_timeout, tls, accept_proxy_protocol, protocol })
}

/// `http_config:`, the listener named `http`. Its rules stand under `http_routes`.
pub(super) fn http_config(decoder: &mut Decoder<'_>, node: Node) -> Option<ListenerSource> {
    let mut fields = MappingReader::open(decoder, node, "`http_config`")?;
    let (name, binds, shutdown_timeout) = short_form(&mut fields, "http");
    let hint = "its rules are `http_routes`, beside it: `http_routes: [{ target: \"http://host:port\" }]`";
    fields.not_here(&["rules", "host", "path_prefix"], "means nothing in `http_config`", hint);
    fields.not_here(&TARGETS, "means nothing in `http_config`", hint);
    let tls = tls::listener_tls(&mut fields);
    let accept_proxy_protocol = networks(&mut fields, "accept_proxy_protocol");
    let protocol = ProtocolSource::Http(Box::new(http_keys(&mut fields, Vec::new())));
    let span = fields.span;
    fields.close();
    Some(ListenerSource { span, name, binds, shutdown_timeout, tls, accept_proxy_protocol, protocol })
}

/// `tcp:`, the listener named `tcp`.
pub(super) fn tcp(decoder: &mut Decoder<'_>, node: Node) -> Option<ListenerSource> {
    let mut fields = MappingReader::open(decoder, node, "`tcp`")?;
    let (name, binds, shutdown_timeout) = short_form(&mut fields, "tcp");
    let tls = tls::listener_tls(&mut fields);
    let accept_proxy_protocol = networks(&mut fields, "accept_proxy_protocol");
    let protocol = ProtocolSource::Tcp(Box::new(tcp_keys(&mut fields)));
    let span = fields.span;
    fields.close();
    Some(ListenerSource { span, name, binds, shutdown_timeout, tls, accept_proxy_protocol, protocol })
}

type Short = (Option<Spanned<Arc<str>>>, Vec<Spanned<Bind>>, Option<Spanned<Duration>>);

fn short_form(fields: &mut MappingReader<'_, '_>, name: &str) -> Short {
    fields.require(&["port"]);
    refuse_top_level(fields);
    let binds = fields.field("port", binds).unwrap_or_default();
    let why = "means nothing in the short form";
    fields.not_here(&["bind"], why, "write `port`");
    fields.not_here(&["name", "protocol"], why, "write the listener under `listeners`");
    (
        Some(Spanned { value: name.into(), span: fields.span }),
        binds,
        fields.parsed("shutdown_timeout", scalar::duration),
    )
}

/// Refuses keys that stand at the top of a file.
fn refuse_top_level(fields: &mut MappingReader<'_, '_>) {
    let settings = GlobalWritten::KEYS.iter().copied().filter(|key| *key != "shutdown_timeout");
    let others = [
        "access_log",
        "internal_api",
        "store",
        "http_config",
        "http_routes",
        "tcp",
        "listeners",
        "upstreams",
        "policies",
    ];
    let keys: Vec<&str> = settings.chain(others).collect();
    let place = "write `tls: { acme: true }` here, and the address of mail at the top of the file";
    fields.not_here(&["acme"], "stands at the top of a file, and in `tls`", place);
    fields.not_here(&keys, "stands at the top of a file", "move it out of this listener");
}

fn binds(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<Spanned<Bind>>> {
    Some(decoder.parsed_many(node, target::bind))
}

fn http_keys(fields: &mut MappingReader<'_, '_>, rules: Vec<RuleSource>) -> HttpSource {
    if fields.at("tls").is_some() {
        let hint = "it belongs on the listener without TLS, the one on port 80";
        fields.not_here(&["redirect_to_https"], "means nothing beside `tls`", hint);
    }
    fields.not_here(
        &["connect_timeout", "balance", "sticky", "health", "hold"],
        "means nothing on an HTTP listener",
        "write it on a rule or an upstream",
    );
    let hint = "write it on a rule with `pass`";
    fields.not_here(&["send_proxy_protocol"], "means nothing on an HTTP listener", hint);
    let mut policies = PoliciesWritten::read(fields);
    let http = HttpSource {
        rules,
        settings: HttpWritten::read(fields),
        trusted_proxies: networks(fields, "trusted_proxies"),
        client_gone: client_gone(fields),
        redirect_to_https: fields.field("redirect_to_https", redirect_to_https).flatten(),
        limits: LimitsWritten::read(fields),
        headers: headers(fields, &CaptureNames::default()),
        max_requests: policies.max_requests.take().flatten(),
        policies,
        policy: policies::names(fields),
        middlewares: Vec::new(),
    };
    let HttpWritten { head_bytes_max: head, target_bytes_max: target, .. } = http.settings;
    if let Some(span) = fields.at("target_bytes_max")
        && head.is_some_and(|head| target > Some(head))
    {
        let message = "the target of a request cannot be longer than its head";
        fields.decoder.report.error_hint(span, message, "`head_bytes_max` is less");
    }
    http
}

/// `client_gone: reset` or `fin`.
fn client_gone(fields: &mut MappingReader<'_, '_>) -> ClientGone {
    let sign = fields.parsed("client_gone", |text| match text {
        "reset" => Ok(ClientGone::Reset),
        "fin" => Ok(ClientGone::Fin),
        _ => Err(ValueError::hint("is not a sign that a client is gone", "write reset or fin")),
    });
    sign.map_or(ClientGone::Reset, |sign| sign.value)
}

/// One or many addresses, networks or names of networks.
fn networks(fields: &mut MappingReader<'_, '_>, name: &'static str) -> Vec<IpNet> {
    let networks = fields.field(name, |decoder, node| Some(decoder.parsed_many(node, networks::networks)));
    networks.into_iter().flatten().flat_map(|networks| networks.value).collect()
}

/// Keys for the target of a TCP listener.
const TARGETS: [&str; 3] = ["target", "targets", "upstream"];

fn tcp_keys(fields: &mut MappingReader<'_, '_>) -> TcpSource {
    let settings = HttpWritten::KEYS.iter().copied().filter(|key| *key != "idle_timeout");
    let others = ["rules", "trusted_proxies", "client_gone", "redirect_to_https"];
    let keys: Vec<_> = settings.chain(others).chain(LimitsWritten::KEYS.iter().copied()).collect();
    let (why, hint) = ("means nothing on a TCP listener", "leave it out, or write `protocol: http`");
    fields.not_here(&keys, why, hint);
    fields.not_here(HeadersWritten::KEYS, why, hint);
    policies::not_here(fields, &["speed"], why, hint);
    let written: Vec<(&str, Span)> = TARGETS.iter().filter_map(|key| Some((*key, fields.at(key)?))).collect();
    match written[..] {
        [] => {
            let message = format!("{} needs `target`", fields.what);
            fields.missing(&TARGETS, message, "or `targets`, or `upstream`");
        }
        [_] => {}
        [(first, _), (second, span), ..] => {
            let message = format!("`{first}` and `{second}` cannot stand side by side");
            fields.decoder.report.error_hint(span, message, "keep one of them");
        }
    }
    let upstream = upstream_use(fields, false).filter(|_| written.len() == 1);
    let send_proxy_protocol = rule::send_proxy_protocol(fields);
    let idle_timeout = fields.parsed("idle_timeout", scalar::timeout);
    let policies = PoliciesWritten { speed: fields.policy("speed"), ..PoliciesWritten::default() };
    TcpSource { upstream, send_proxy_protocol, idle_timeout, policies }
}

/// `true`, or `{status, port}`. The inner `None` stands for `false`.
fn redirect_to_https(decoder: &mut Decoder<'_>, node: Node) -> Option<Option<RedirectToHttps>> {
    const USUAL: RedirectToHttps = RedirectToHttps { status: 308, port: 443 };
    if !matches!(node.value, Value::Map(_)) {
        return Some(decoder.flag(node)?.value.then_some(USUAL));
    }
    let mut fields = MappingReader::open(decoder, node, "`redirect_to_https`")?;
    let status = fields.parsed("status", |text| match text {
        "301" => Ok(301),
        "308" => Ok(308),
        _ => Err(ValueError::hint("is not the status of a move to https", "write 308 or 301")),
    });
    let port = fields.parsed("port", |text| match text.parse::<u16>() {
        Ok(port @ 1..) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err(ValueError::new("is not a port")),
    });
    fields.close();
    Some(Some(RedirectToHttps {
        status: status.map_or(USUAL.status, |status| status.value),
        port: port.map_or(USUAL.port, |port| port.value),
    }))
}
