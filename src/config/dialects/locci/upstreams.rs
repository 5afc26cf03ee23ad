//! `upstreams`.

use std::sync::Arc;
use std::time::Duration;

use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::Spanned;
use crate::config::dialects::plain::some_seconds;
use crate::config::plan::{Balance, Health, HealthRequest, Scheme, UpstreamTls, UpstreamWritten};
use crate::config::source::{UpstreamPolicySource, UpstreamSource};
use crate::config::syntax::{Node, Value};
use crate::config::values::target::{self, TargetText};
use crate::config::values::{ValueError, scalar};

/// A group of servers.
pub(in crate::config) struct Group {
    name: Spanned<Arc<str>>,
    servers: Vec<Spanned<TargetText>>,
    /// `sni`, with the place of the key, if the group speaks TLS.
    sni: Option<Spanned<Arc<str>>>,
    health: Option<Spanned<Health>>,
}

impl Group {
    /// The upstream. Servers get requests in turn, counted over all workers.
    pub(in crate::config) fn upstream(self, connect_timeout: Option<Duration>) -> UpstreamSource {
        let Group { name, servers, sni, health } = self;
        let span = name.span;
        let tls = |sni: Spanned<Arc<str>>| Spanned {
            value: UpstreamTls { sni: Some(sni.value), ..UpstreamTls::default() },
            span: sni.span,
        };
        UpstreamSource {
            name,
            targets: servers,
            tls: sni.map(tls),
            settings: UpstreamWritten { connect_timeout, ..UpstreamWritten::default() },
            policy: UpstreamPolicySource {
                balance: Some(Spanned { value: Balance::StrictRoundRobin, span }),
                health,
                ..UpstreamPolicySource::default()
            },
        }
    }
}

/// A mapping of names to groups.
pub(super) fn groups(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<Group>> {
    let Value::Map(entries) = node.value else {
        let hint = "write `NAME: { servers: [\"host:port\"] }`";
        decoder.report.error_hint(node.span, "`upstreams` is a mapping", hint);
        return None;
    };
    let group = |(key, node): (Spanned<String>, Node)| match scalar::name(&key.value) {
        Ok(value) => group(decoder, Spanned { value, span: key.span }, node),
        Err(error) => {
            decoder.report.error(key.span, format!("this {}", error.problem));
            None
        }
    };
    Some(entries.into_iter().filter_map(group).collect())
}

/// A group of this name.
pub(in crate::config) fn group(
    decoder: &mut Decoder<'_>,
    name: Spanned<Arc<str>>,
    node: Node,
) -> Option<Group> {
    let mut fields = MappingReader::open(decoder, node, "an upstream of locci-proxy")?;
    fields.span = name.span;
    fields.require(&["servers"]);
    let is_tls = fields.flag("tls");
    let scheme = if is_tls { Scheme::Https } else { Scheme::Http };
    let servers = fields.field("servers", |decoder, node| Some(decoder.parsed_many(node, server)));
    let servers = servers.unwrap_or_default().into_iter();
    if let Some(strategy) = fields.parsed("strategy", strategy).filter(|strategy| !strategy.value) {
        let hint = "locci-proxy does so too, whatever the strategy is; a native upstream has `balance`";
        let message = "the servers get requests in turn";
        fields.decoder.report.warning(Some(strategy.span), message, hint);
    }
    let sni = fields.field("sni", sni).flatten();
    if let Some(sni) = sni.as_ref().filter(|_| !is_tls) {
        let message = "`sni` means nothing without `tls: true`";
        fields.decoder.report.warning(Some(sni.span), message, "add it, or leave `sni` out");
    }
    let health = fields.field("health_check", health);
    fields.close();
    Some(Group {
        name,
        servers: servers
            .map(|Spanned { value, span }| Spanned {
                value: TargetText { scheme: Some(scheme), ..value },
                span,
            })
            .collect(),
        sni: sni.filter(|_| is_tls),
        health,
    })
}

/// `host:port`.
fn server(text: &str) -> Result<TargetText, ValueError> {
    const FORM: &str = "write \"host:port\" alone; `tls: true` beside `servers` makes it https";
    if text.contains("://") {
        return Err(ValueError::hint("has a scheme, and a server has none", FORM));
    }
    let parsed = target::target(text).map_err(|error| ValueError::hint(error.problem, FORM))?;
    match parsed.scheme {
        None if parsed.port != 0 => Ok(parsed),
        _ => Err(ValueError::hint("is not a server", FORM)),
    }
}

/// Whether it is the usual one. Others are served like it.
fn strategy(text: &str) -> Result<bool, ValueError> {
    match text {
        "round_robin" => Ok(true),
        "weighted" | "consistent" => Ok(false),
        _ => Err(ValueError::hint("is not a strategy", "write round_robin")),
    }
}

/// A name; an empty one is none.
fn sni(decoder: &mut Decoder<'_>, node: Node) -> Option<Option<Spanned<Arc<str>>>> {
    if matches!(&node.value, Value::Scalar(text) if text.is_empty()) {
        return Some(None);
    }
    decoder.parsed(node, target::server_name).map(Some)
}

/// `{interval_secs, timeout_secs, path}`. One check decides, as there.
fn health(decoder: &mut Decoder<'_>, node: Node) -> Option<Spanned<Health>> {
    let span = node.span;
    let mut fields = MappingReader::open(decoder, node, "`health_check`")?;
    fields.require(&["interval_secs"]);
    let usual = Health::default();
    let interval = fields.parsed("interval_secs", some_seconds);
    let limit = fields.parsed("timeout_secs", some_seconds);
    let path = fields.parsed("path", health_path);
    if let (Some(interval), Some(limit)) = (&interval, &limit)
        && limit.value > interval.value
    {
        let message = "a check cannot take longer than the time from one check to the next";
        fields.decoder.report.error_hint(
            limit.span,
            message,
            "make `timeout_secs` less than `interval_secs`",
        );
    }
    fields.close();
    let request = path.map(|path| HealthRequest {
        path: path.value,
        method: "GET",
        host: None,
        headers: Vec::new(),
        status: Vec::new(),
        body: None,
    });
    let interval = interval?.value;
    let timeout = limit.map_or(usual.timeout.min(interval), |limit| limit.value);
    Some(Spanned { value: Health { request, interval, timeout, rise: 1, fall: 1, ..usual }, span })
}

/// A path, maybe with a query.
fn health_path(text: &str) -> Result<Arc<str>, ValueError> {
    let is_path = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if is_path {
        Ok(text.into())
    } else {
        Err(ValueError::hint("is not a path to ask for", "write \"/health\""))
    }
}
