//! The policy of an upstream for its endpoints: defaults, and keys that do not go with its protocol.

use crate::config::diagnostics::{Report, Spanned};
use crate::config::plan::{HashKey, UpstreamPolicy};
use crate::config::source::UpstreamPolicySource;

/// Fills in the defaults.
pub(super) fn lower(source: UpstreamPolicySource) -> UpstreamPolicy {
    let UpstreamPolicySource { balance, hash: _, eject } = source;
    let usual = UpstreamPolicy::default();
    UpstreamPolicy {
        balance: balance.map_or(usual.balance, |balance| balance.value),
        eject: eject.unwrap_or(usual.eject),
    }
}

/// Reports keys that mean nothing for the upstream's protocol: raw bytes, or else HTTP.
pub(super) fn check(source: &UpstreamPolicySource, is_tcp: bool, report: &mut Report) {
    let Some(Spanned { value: key, span }) = &source.hash else { return };
    if is_tcp && !key.is_of_connections() {
        let message = format!("bytes are passed on here, which have no `{key}`");
        report.error_hint(*span, message, "write client or sni");
    }
    if !is_tcp && *key == HashKey::Sni {
        report.error_hint(*span, "requests are balanced by their host, not by `sni`", "write host");
    }
}
