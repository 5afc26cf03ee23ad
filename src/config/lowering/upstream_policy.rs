//! The policy of an upstream for its endpoints: defaults, and keys that do not go with its protocol.

use crate::config::diagnostics::{Report, Spanned};
use crate::config::plan::{HashKey, Health, TargetHost, UpstreamPolicy};
use crate::config::source::UpstreamPolicySource;
use crate::config::values::target::TargetText;

/// Fills in the defaults.
pub(super) fn lower(source: UpstreamPolicySource) -> UpstreamPolicy {
    let UpstreamPolicySource {
        balance,
        hash: _,
        sticky,
        eject,
        health,
        slow_start,
        queue,
        retry_statuses,
        starting,
    } = source;
    let usual = UpstreamPolicy::default();
    UpstreamPolicy {
        balance: balance.map_or(usual.balance, |balance| balance.value),
        sticky: sticky.map(|sticky| sticky.value),
        eject: eject.unwrap_or(usual.eject),
        health: health.map(|health| health.value),
        slow_start: slow_start.map_or(usual.slow_start, |time| time.value),
        queue: queue.unwrap_or(usual.queue),
        starting: starting.is_some_and(|flag| flag.value),
        retry_statuses: retry_statuses.into_iter().flatten().map(|status| status.value).collect(),
    }
}

/// Reports a port to check of a target that has none.
pub(super) fn check_ports(
    source: &UpstreamPolicySource,
    targets: &[Spanned<TargetText>],
    report: &mut Report,
) {
    let is_socket = |target: &Spanned<TargetText>| matches!(target.value.host, TargetHost::Unix(_));
    let has_port = |health: &&Spanned<Health>| health.value.port.is_some() && targets.iter().any(is_socket);
    if let Some(health) = source.health.as_ref().filter(has_port) {
        report.error_hint(health.span, "a Unix socket has no port to check", "leave `port` out");
    }
}

/// Reports keys that mean nothing for the upstream's protocol: raw bytes, or else HTTP.
pub(super) fn check(source: &UpstreamPolicySource, is_tcp: bool, report: &mut Report) {
    if let Some(starting) = source.starting.as_ref().filter(|_| is_tcp) {
        report.error_hint(
            starting.span,
            "bytes are passed on here, which get no page",
            "leave `starting` out",
        );
    }
    if let Some(status) = source.retry_statuses.iter().flatten().next().filter(|_| is_tcp) {
        report.error_hint(
            status.span,
            "bytes are passed on here, which have no status",
            "leave `retry_statuses` out",
        );
    }
    if let Some(cookie) = source.sticky.as_ref().filter(|_| is_tcp) {
        report.error_hint(
            cookie.span,
            "bytes are passed on here, which have no cookie",
            "leave `sticky` out",
        );
    }
    let asks = |health: &&Spanned<Health>| is_tcp && health.value.request.is_some();
    if let Some(health) = source.health.as_ref().filter(asks) {
        report.error_hint(health.span, "bytes are passed on here, which have no path", "write `health: tcp`");
    }
    let Some(Spanned { value: key, span }) = &source.hash else { return };
    if is_tcp && !key.is_of_connections() {
        let message = format!("bytes are passed on here, which have no `{key}`");
        report.error_hint(*span, message, "write client or sni");
    }
    if !is_tcp && *key == HashKey::Sni {
        report.error_hint(*span, "requests are balanced by their host, not by `sni`", "write host");
    }
}
