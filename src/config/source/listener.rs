//! Listeners as written, in the short form and in the long one.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::rule::{self, LimitsSource, RuleSource};
use super::upstream::{UpstreamUse, upstream_use};
use crate::config::decoder::{Decoder, Fields};
use crate::config::plan::Bind;
use crate::config::report::{At, Spot};
use crate::config::scalar::{self, Wrong};
use crate::config::target;
use crate::config::yaml::Node;

/// One listener, whichever form it was written in.
pub(crate) struct ListenerSource {
    pub(crate) spot: Spot,
    /// `None`: it was missing or wrong, and that was reported.
    pub(crate) name: Option<At<Arc<str>>>,
    pub(crate) binds: Vec<At<Bind>>,
    pub(crate) shutdown_timeout: Option<At<Duration>>,
    pub(crate) protocol: ProtocolSource,
}

/// What a listener speaks.
pub(crate) enum ProtocolSource {
    Http(HttpSource),
    Tcp(TcpSource),
}

/// The keys of an HTTP listener.
pub(crate) struct HttpSource {
    pub(crate) rules: Vec<RuleSource>,
    pub(crate) header_timeout: Option<At<Duration>>,
    pub(crate) idle_timeout: Option<At<Duration>>,
    pub(crate) head_bytes_max: Option<At<usize>>,
    pub(crate) head_fields_max: Option<At<usize>>,
    pub(crate) target_bytes_max: Option<At<usize>>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) limits: LimitsSource,
}

/// The keys of a TCP listener.
pub(crate) struct TcpSource {
    /// `None`: it was missing or wrong, and that was reported.
    pub(crate) upstream: Option<UpstreamUse>,
    pub(crate) idle_timeout: Option<At<Duration>>,
}

/// `listeners:`, a list.
pub(super) fn listeners(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<ListenerSource>> {
    let items = decoder.list(node, "a list of listeners");
    Some(items.into_iter().filter_map(|item| listener(decoder, item)).collect())
}

fn listener(decoder: &mut Decoder<'_>, node: Node) -> Option<ListenerSource> {
    let mut fields = Fields::open(decoder, node, "a listener")?;
    let name = fields.required("name", scalar::name);
    let protocol = fields.parsed("protocol", |text| match text {
        "http" => Ok(false),
        "tcp" => Ok(true),
        _ => Err(Wrong::hint("is not a protocol", "write http or tcp")),
    });
    let is_tcp = protocol.is_some_and(|tcp| tcp.value);
    let binds = binds(&mut fields, "bind");
    let shutdown_timeout = fields.parsed("shutdown_timeout", scalar::duration);
    let protocol = if is_tcp {
        ProtocolSource::Tcp(tcp_keys(&mut fields))
    } else {
        let hint = "rules say where requests go; `protocol: tcp` makes this a TCP listener";
        fields.refuse(&["target", "targets", "upstream"], "means nothing on an HTTP listener", hint);
        let rules = fields.field("rules", rule::rules).unwrap_or_default();
        ProtocolSource::Http(http_keys(&mut fields, rules))
    };
    let spot = fields.spot;
    fields.close();
    Some(ListenerSource { spot, name, binds, shutdown_timeout, protocol })
}

/// `http_config:`, the listener named `http`. Its rules stand apart, under `http_routes`.
pub(super) fn http_config(decoder: &mut Decoder<'_>, node: Node) -> Option<ListenerSource> {
    let mut fields = Fields::open(decoder, node, "`http_config`")?;
    let (name, binds, shutdown_timeout) = short_form(&mut fields, "http");
    fields.refuse(&["rules"], "means nothing in `http_config`", "its rules are `http_routes`, beside it");
    let protocol = ProtocolSource::Http(http_keys(&mut fields, Vec::new()));
    let spot = fields.spot;
    fields.close();
    Some(ListenerSource { spot, name, binds, shutdown_timeout, protocol })
}

/// `tcp:`, the listener named `tcp`.
pub(super) fn tcp(decoder: &mut Decoder<'_>, node: Node) -> Option<ListenerSource> {
    let mut fields = Fields::open(decoder, node, "`tcp`")?;
    let (name, binds, shutdown_timeout) = short_form(&mut fields, "tcp");
    let protocol = ProtocolSource::Tcp(tcp_keys(&mut fields));
    let spot = fields.spot;
    fields.close();
    Some(ListenerSource { spot, name, binds, shutdown_timeout, protocol })
}

type Short = (Option<At<Arc<str>>>, Vec<At<Bind>>, Option<At<Duration>>);

fn short_form(fields: &mut Fields<'_, '_>, name: &str) -> Short {
    let binds = binds(fields, "port");
    let why = "means nothing in the short form";
    fields.refuse(&["bind"], why, "write `port`");
    fields.refuse(&["name", "protocol"], why, "write the listener under `listeners`");
    (
        Some(At { value: name.into(), spot: fields.spot }),
        binds,
        fields.parsed("shutdown_timeout", scalar::duration),
    )
}

fn binds(fields: &mut Fields<'_, '_>, key: &'static str) -> Vec<At<Bind>> {
    if fields.at(key).is_none() {
        fields.missing(key);
    }
    let read =
        |decoder: &mut Decoder<'_>, node| Some(decoder.one_or_many(node, |d, n| d.parsed(n, target::bind)));
    fields.field(key, read).unwrap_or_default()
}

fn http_keys(fields: &mut Fields<'_, '_>, rules: Vec<RuleSource>) -> HttpSource {
    refuse_tls(fields);
    fields.refuse(
        &["connect_timeout"],
        "means nothing on an HTTP listener",
        "write it on a rule or an upstream",
    );
    let http = HttpSource {
        rules,
        header_timeout: fields.parsed("header_timeout", scalar::timeout),
        idle_timeout: fields.parsed("idle_timeout", scalar::timeout),
        head_bytes_max: fields.parsed("head_bytes_max", scalar::head_size),
        head_fields_max: fields.parsed("head_fields_max", scalar::field_count),
        target_bytes_max: fields.parsed("target_bytes_max", scalar::target_size),
        trusted_proxies: fields
            .field("trusted_proxies", |decoder, node| {
                Some(decoder.one_or_many(node, |d, n| d.parsed(n, target::network)))
            })
            .into_iter()
            .flatten()
            .map(|network| network.value)
            .collect(),
        limits: LimitsSource::read(fields),
    };
    if let (Some(target), Some(head)) = (&http.target_bytes_max, &http.head_bytes_max)
        && target.value > head.value
    {
        let message = "the target of a request cannot be longer than its head";
        fields.decoder.report.error_hint(target.spot, message, "`head_bytes_max` is less");
    }
    http
}

/// Keys that say something about HTTP only.
const HTTP_ONLY: [&str; 6] =
    ["rules", "header_timeout", "head_bytes_max", "head_fields_max", "target_bytes_max", "trusted_proxies"];

fn tcp_keys(fields: &mut Fields<'_, '_>) -> TcpSource {
    refuse_tls(fields);
    for keys in [&HTTP_ONLY[..], &LimitsSource::KEYS] {
        fields.refuse(keys, "means nothing on a TCP listener", "leave it out, or write `protocol: http`");
    }
    let written: Vec<(&str, Spot)> =
        ["target", "targets", "upstream"].iter().filter_map(|key| Some((*key, fields.at(key)?))).collect();
    match written[..] {
        [] => fields.missing("target"),
        [_] => {}
        [(first, _), (second, spot), ..] => {
            let message = format!("`{first}` and `{second}` cannot stand side by side");
            fields.decoder.report.error_hint(spot, message, "keep one of them");
        }
    }
    let upstream = upstream_use(fields).filter(|_| written.len() == 1);
    TcpSource { upstream, idle_timeout: fields.parsed("idle_timeout", scalar::timeout) }
}

fn refuse_tls(fields: &mut Fields<'_, '_>) {
    let hint = "let something in front of it terminate TLS, or leave this out";
    fields.refuse(&["tls"], "on listeners is not served by this version", hint);
}
