//! The policy of an upstream for its endpoints: defaults.

use crate::config::plan::UpstreamPolicy;
use crate::config::source::UpstreamPolicySource;

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
