//! Keys that say what an upstream does with its endpoints.

use std::time::Duration;

use super::health::health;
use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::{Report, Spanned};
use crate::config::plan::{Balance, Eject, HashKey, Health, Queue, Secret, Sticky, TargetHost};
use crate::config::syntax::{Node, Value, mask_secret};
use crate::config::values::target::TargetText;
use crate::config::values::{balance, scalar};

/// Bytes of the shortest secret. A shorter one could be guessed from the cookies.
const SECRET_BYTES_MIN: usize = 16;

/// Keys that limit what an endpoint has at the same time.
const LIMITS: [&str; 2] = ["max_requests", "max_connections"];

/// The policy of an upstream for its endpoints, as written.
#[derive(Clone, Default)]
pub(crate) struct UpstreamPolicySource {
    pub(crate) balance: Option<Spanned<Balance>>,
    /// The key of `hash`, with its place.
    pub(crate) hash: Option<Spanned<HashKey>>,
    /// Its place is that of the name of the cookie.
    pub(crate) sticky: Option<Spanned<Sticky>>,
    /// The inner `None` stands for `false`.
    pub(crate) eject: Option<Option<Eject>>,
    pub(crate) health: Option<Spanned<Health>>,
    pub(crate) slow_start: Option<Spanned<Duration>>,
    pub(crate) queue: Option<Queue>,
    pub(crate) retry_statuses: Option<Vec<Spanned<u16>>>,
    pub(crate) starting: Option<Spanned<bool>>,
}

impl UpstreamPolicySource {
    /// Reads the keys that may stand beside a target that is written in place. `is_http` tells whether requests go
    /// there.
    pub(super) fn read_in_place(fields: &mut MappingReader<'_, '_>, is_http: bool) -> Self {
        let (balance, hash) = fields.field("balance", balance_or_hash).unzip();
        Self {
            balance,
            hash: hash.flatten(),
            sticky: is_http.then(|| fields.field("sticky", sticky)).flatten(),
            health: fields.field("health", health),
            starting: is_http.then(|| fields.field("starting", Decoder::flag)).flatten(),
            ..Self::default()
        }
    }

    /// Reads the keys of an upstream.
    pub(super) fn read(fields: &mut MappingReader<'_, '_>) -> Self {
        if LIMITS.iter().all(|limit| fields.at(limit).is_none()) {
            let hint = "write `max_requests` or `max_connections` too";
            fields.not_here(&["queue"], "means nothing without a limit that requests can wait for", hint);
        }
        Self {
            eject: fields.field("eject", eject),
            slow_start: fields.parsed("slow_start", scalar::duration),
            queue: fields.field("queue", queue),
            retry_statuses: fields.field("retry_statuses", statuses),
            ..Self::read_in_place(fields, true)
        }
    }

    /// Reports a port to check of a target that has none.
    pub(crate) fn check_ports(&self, targets: &[Spanned<TargetText>], report: &mut Report) {
        let is_socket = |target: &Spanned<TargetText>| matches!(target.value.host, TargetHost::Unix(_));
        let has_port =
            |health: &&Spanned<Health>| health.value.port.is_some() && targets.iter().any(is_socket);
        if let Some(health) = self.health.as_ref().filter(has_port) {
            report.error_hint(health.span, "a Unix socket has no port to check", "leave `port` out");
        }
    }

    /// Whether nothing takes an endpoint out that fails.
    pub(crate) fn keeps_those_that_fail(&self) -> bool {
        self.eject == Some(None) && self.health.is_none()
    }

    /// Reports keys that mean nothing for the upstream's protocol: raw bytes, or else HTTP.
    pub(crate) fn check(&self, is_tcp: bool, report: &mut Report) {
        if let Some(starting) = self.starting.as_ref().filter(|_| is_tcp) {
            report.error_hint(
                starting.span,
                "bytes are passed on here, which get no page",
                "leave `starting` out",
            );
        }
        if let Some(status) = self.retry_statuses.iter().flatten().next().filter(|_| is_tcp) {
            report.error_hint(
                status.span,
                "bytes are passed on here, which have no status",
                "leave `retry_statuses` out",
            );
        }
        if let Some(cookie) = self.sticky.as_ref().filter(|_| is_tcp) {
            report.error_hint(
                cookie.span,
                "bytes are passed on here, which have no cookie",
                "leave `sticky` out",
            );
        }
        let asks = |health: &&Spanned<Health>| is_tcp && health.value.request.is_some();
        if let Some(health) = self.health.as_ref().filter(asks) {
            report.error_hint(
                health.span,
                "bytes are passed on here, which have no path",
                "write `health: tcp`",
            );
        }
        let Some(Spanned { value: key, span }) = &self.hash else { return };
        if is_tcp && !key.is_of_connections() {
            let message = format!("bytes are passed on here, which have no `{key}`");
            report.error_hint(*span, message, "write client or sni");
        }
        if !is_tcp && *key == HashKey::Sni {
            report.error_hint(*span, "requests are balanced by their host, not by `sni`", "write host");
        }
    }
}

/// `sticky: { cookie, secret, max_age }`.
fn sticky(decoder: &mut Decoder<'_>, node: Node) -> Option<Spanned<Sticky>> {
    let mut fields = MappingReader::open(decoder, node, "`sticky`")?;
    fields.require(&["cookie"]);
    let cookie = fields.parsed("cookie", balance::cookie);
    let secret = fields.field("secret", secret);
    let max_age = fields.parsed("max_age", balance::max_age).map(|time| time.value);
    fields.close();
    cookie.map(|Spanned { value: cookie, span }| Spanned { value: Sticky { cookie, secret, max_age }, span })
}

fn secret(decoder: &mut Decoder<'_>, node: Node) -> Option<Secret> {
    mask_secret(&node, decoder.report);
    let text = decoder.text(node)?;
    // The message does not quote the secret.
    if text.text.len() < SECRET_BYTES_MIN {
        let message = format!("a secret has at least {SECRET_BYTES_MIN} bytes");
        decoder.report.error_hint(text.span, message, "`openssl rand -base64 32` makes a good one");
        return None;
    }
    Some(Secret(text.text.into()))
}

type BalanceAndKey = (Spanned<Balance>, Option<Spanned<HashKey>>);

/// `balance: word`, or `balance: { hash, bound }`.
fn balance_or_hash(decoder: &mut Decoder<'_>, node: Node) -> Option<BalanceAndKey> {
    if !matches!(node.value, Value::Map(_)) {
        return Some((decoder.parsed(node, balance::balance)?, None));
    }
    let mut fields = MappingReader::open(decoder, node, "`balance`")?;
    let span = fields.span;
    fields.require(&["hash"]);
    let key = fields.parsed("hash", balance::hash_key);
    let bound = fields.parsed("bound", balance::bound).map(|bound| bound.value);
    fields.close();
    let hash = key?;
    let value = Balance::Hash { key: hash.value.clone(), bound };
    Some((Spanned { value, span }, Some(hash)))
}

/// `queue: { max, timeout }`.
fn queue(decoder: &mut Decoder<'_>, node: Node) -> Option<Queue> {
    let mut fields = MappingReader::open(decoder, node, "`queue`")?;
    fields.require(&["max"]);
    let usual = Queue::default();
    let queue = Queue {
        max: fields.parsed("max", scalar::held).map_or(usual.max, |max| max.value),
        timeout: fields.parsed("timeout", scalar::timeout).map_or(usual.timeout, |time| time.value),
    };
    fields.close();
    Some(queue)
}

/// One or many statuses of the classes 4xx and 5xx.
fn statuses(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<Spanned<u16>>> {
    Some(decoder.parsed_many(node, balance::status))
}

/// `eject: false`, or `eject: { failures, for, statuses }`.
fn eject(decoder: &mut Decoder<'_>, node: Node) -> Option<Option<Eject>> {
    if !matches!(node.value, Value::Map(_)) {
        return decoder.flag(node).map(|flag| flag.value.then(Eject::default));
    }
    let mut fields = MappingReader::open(decoder, node, "`eject`")?;
    let usual = Eject::default();
    let failures =
        fields.parsed("failures", balance::failures).map_or(usual.failures, |failures| failures.value);
    let time: Duration = fields.parsed("for", scalar::timeout).map_or(usual.time, |time| time.value);
    let statuses = fields.field("statuses", statuses).unwrap_or_default();
    fields.close();
    let statuses = statuses.into_iter().map(|status| status.value).collect();
    Some(Some(Eject { failures, time, statuses }))
}
