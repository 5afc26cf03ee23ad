//! `balancer`, and the targets of an action that forwards.

use std::time::Duration;

use super::actions::Proxy;
use crate::config::decode::{Decoder, Text};
use crate::config::diagnostics::{Span, Spanned};
use crate::config::dialects::prox::keys::{open, text_list};
use crate::config::dialects::prox::schema::BALANCER;
use crate::config::plan::{Balance, UpstreamWritten};
use crate::config::source::{Inline, UpstreamPolicySource, UpstreamUse};
use crate::config::syntax::Node;
use crate::config::values::ValueError;
use crate::config::values::target::{self, TargetText};

/// The time for a connection, if neither the action nor the service says it.
const DIAL: Duration = Duration::from_secs(30);

/// The time for a connection that is passed on.
const DIAL_TO_PASS: Duration = Duration::from_secs(10);

/// The time between probes of a silent connection, if the service does not say it.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The target that the balancer chooses, in `upstream`.
const TARGET: &str = "{target}";

/// A balancer.
pub(in crate::config::dialects::prox) struct Balancer {
    pub(in crate::config::dialects::prox) span: Span,
    pub(in crate::config::dialects::prox) balance: Spanned<Balance>,
    pub(in crate::config::dialects::prox) targets: Vec<Text>,
}

/// Settings of connections to targets, of the service.
#[derive(Default)]
pub(in crate::config::dialects::prox) struct Transport {
    pub(in crate::config::dialects::prox) dial_timeout: Option<Duration>,
    pub(in crate::config::dialects::prox) keep_alive: Option<Duration>,
    pub(in crate::config::dialects::prox) max_idle: Option<usize>,
}

/// `{type, targets, fallback}`.
pub(in crate::config::dialects::prox) fn balancer(decoder: &mut Decoder<'_>, node: Node) -> Option<Balancer> {
    let mut fields = open(decoder, node, BALANCER)?;
    let span = fields.span;
    if fields.at("type").is_none() {
        let hint = "write roundrobin, random or leastconn";
        fields.missing(&["type"], "balancer.type is required".to_owned(), hint);
    }
    let balance = fields.parsed("type", |text| match text {
        "roundrobin" => Ok(Balance::StrictRoundRobin),
        "random" => Ok(Balance::Random),
        "leastconn" => Ok(Balance::LeastRequests),
        _ => Err(ValueError::hint("is not a type of a balancer", "write roundrobin, random or leastconn")),
    });
    let targets = fields.field("targets", |decoder, node| Some(text_list(decoder, node, "`targets`")));
    fields.flag("fallback");
    let targets = targets.unwrap_or_default();
    for (index, target) in targets.iter().enumerate() {
        let is_twice = targets[..index].iter().any(|before| before.text == target.text);
        if target.text.is_empty() || is_twice {
            let message = format!(
                "the target {} is {}",
                target.shown(),
                if is_twice { "there twice" } else { "empty" }
            );
            fields.decoder.report.error_hint(target.span, message, "leave it out");
        }
    }
    if targets.is_empty() {
        let hint = "write `targets: [\"host:port\"]`";
        fields.decoder.report.error_hint(span, "balancer.targets needs at least one entry", hint);
    }
    fields.close();
    Some(Balancer { span, balance: balance?, targets })
}

/// The parts of a route that say where its requests go.
pub(in crate::config::dialects::prox) struct Destination<'r> {
    pub(in crate::config::dialects::prox) balancer: Option<&'r Balancer>,
    pub(in crate::config::dialects::prox) set: &'r [(Spanned<String>, Text)],
}

impl Destination<'_> {
    /// The upstream of an action that forwards. `backup` is the action whose target is used if all others fail.
    pub(in crate::config::dialects::prox) fn proxy(
        &self,
        proxy: &Proxy,
        backup: Option<&Proxy>,
        transport: &Transport,
        decoder: &mut Decoder<'_>,
    ) -> Option<UpstreamUse> {
        let texts = self.texts(&proxy.upstream, true, decoder)?;
        let mut targets = parsed(texts, |text| http_target(text, proxy.is_http2), decoder)?;
        if let Some(backup) = backup {
            let texts =
                Destination { balancer: None, set: self.set }.texts(&backup.upstream, true, decoder)?;
            let mut others = parsed(texts, |text| http_target(text, backup.is_http2), decoder)?;
            others.retain(|other| !targets.iter().any(|target| target.value.has_address_of(&other.value)));
            others.iter_mut().for_each(|other| other.value.backup = true);
            targets.extend(others);
        }
        let Transport { dial_timeout, keep_alive, max_idle } = transport;
        let settings = UpstreamWritten {
            connect_timeout: Some(dial_timeout.or(proxy.timeout).unwrap_or(DIAL)),
            tcp_keepalive: Some(keep_alive.unwrap_or(KEEP_ALIVE)),
            max_idle: *max_idle,
            ..UpstreamWritten::default()
        };
        Some(self.inline(proxy.upstream.span, targets, settings))
    }

    /// The upstream of an action that passes connections on.
    pub(in crate::config::dialects::prox) fn pass(
        &self,
        upstream: &Text,
        decoder: &mut Decoder<'_>,
    ) -> Option<UpstreamUse> {
        let texts = self.texts(upstream, false, decoder)?;
        let targets = parsed(texts, tcp_target, decoder)?;
        let settings = UpstreamWritten { connect_timeout: Some(DIAL_TO_PASS), ..UpstreamWritten::default() };
        Some(self.inline(upstream.span, targets, settings))
    }

    fn inline(
        &self,
        span: Span,
        targets: Vec<Spanned<TargetText>>,
        settings: UpstreamWritten,
    ) -> UpstreamUse {
        let balance = self.balancer.map(|balancer| balancer.balance.clone());
        let policy = UpstreamPolicySource { balance, ..UpstreamPolicySource::default() };
        UpstreamUse::Inline(Box::new(Inline { span, targets, tls: None, settings, policy }))
    }

    /// `upstream` with each target of the balancer, and with the names of `set`. Each has the place of its target.
    fn texts(&self, upstream: &Text, with_set: bool, decoder: &mut Decoder<'_>) -> Option<Vec<Text>> {
        let set = if with_set { self.set } else { &[] };
        let fill = |target: Option<&Text>| {
            let mut text = upstream.text.clone();
            let put = |text: &mut String| {
                if let Some(target) = target {
                    *text = text.replace(TARGET, &target.text);
                }
            };
            put(&mut text);
            for (name, value) in set {
                text = text.replace(&format!("{{{}}}", name.value), &value.text);
            }
            // A value of `set` may name the target.
            put(&mut text);
            Text::new(text, target.map_or(upstream.span, |target| target.span), None)
        };
        let texts: Vec<Text> = match self.balancer {
            Some(balancer) => balancer.targets.iter().map(|target| fill(Some(target))).collect(),
            None => vec![fill(None)],
        };
        let left = texts.iter().find_map(|text| {
            let brace = text.text.find('{')?;
            let end = text.text[brace..].find('}').map_or(text.text.len(), |end| brace + end + 1);
            Some(text.text[brace..end].to_owned())
        });
        let Some(left) = left else { return Some(texts) };
        let hint = match left.as_str() {
            TARGET => "add a `balancer` with `targets` to the route",
            _ => "`upstream` has {target}, and the names that the `set` of the route has",
        };
        decoder.report.error_hint(upstream.span, format!("nothing stands for `{left}` in `upstream`"), hint);
        None
    }
}

/// Targets that are wrong are reported. `None` if there is one.
fn parsed(
    texts: Vec<Text>,
    parse: impl Fn(&str) -> Result<TargetText, ValueError>,
    decoder: &mut Decoder<'_>,
) -> Option<Vec<Spanned<TargetText>>> {
    let target = |text: Text| match parse(&text.text) {
        Ok(value) => Some(Spanned { value, span: text.span }),
        Err(error) => {
            decoder.value_error(&text, error);
            None
        }
    };
    texts.into_iter().map(target).collect()
}

/// `host`, `host:port`, or a URL. HTTP/2 is spoken by prior knowledge, and to `https://` over TLS.
fn http_target(text: &str, is_http2: bool) -> Result<TargetText, ValueError> {
    let schemes = [
        ("https://", ["https", "h2"]),
        ("wss://", ["https", "h2"]),
        ("http://", ["http", "h2c"]),
        ("ws://", ["http", "h2c"]),
    ];
    let found = schemes.iter().find_map(|(scheme, ours)| Some((text.strip_prefix(scheme)?, ours)));
    let (rest, ours) = match found {
        Some(found) => found,
        None if text.contains("://") || text.starts_with("unix:") => {
            return Err(ValueError::hint(
                "is no target here",
                "write \"host:port\", \"http://host\" or \"https://host\"",
            ));
        }
        None => (text, &["http", "h2c"]),
    };
    target::target(&format!("{}://{rest}", ours[usize::from(is_http2)]))
}

/// `host:port`.
fn tcp_target(text: &str) -> Result<TargetText, ValueError> {
    const FORM: &str = "write \"host:port\": bytes are passed on";
    match target::target(text) {
        Ok(target) if target.scheme.is_none() && target.port != 0 && target.base_path.is_empty() => {
            Ok(target)
        }
        Ok(_) => Err(ValueError::hint("is no address to pass connections on to", FORM)),
        Err(error) => Err(ValueError::hint(error.problem, FORM)),
    }
}
