//! `rate_limit` as written.

use std::sync::Arc;
use std::time::Duration;

use super::policy::policy;
use crate::config::decode::{Decoder, MappingReader};
use crate::config::plan::{RateKey, RateLimit, RateLimits, ReadPolicy};
use crate::config::syntax::{Node, Value};
use crate::config::values::policies;

/// Keys that are remembered by default: 1 MiB.
const KEYS: usize = 65_536;

impl ReadPolicy<RateLimits> for MappingReader<'_, '_> {
    fn policy(&mut self, name: &'static str) -> Option<Option<Arc<RateLimits>>> {
        policy(self, name, |decoder, node| Some(RateLimits(decoder.one_or_many(node, rate_limit))))
    }
}

/// `100/1m`, or `{ requests, per, burst, by, else, keys, ipv6_prefix, status, fields }`.
fn rate_limit(decoder: &mut Decoder<'_>, node: Node) -> Option<RateLimit> {
    if !matches!(node.value, Value::Map(_)) {
        let (requests, per) = decoder.parsed(node, policies::rate)?.value;
        return Some(usual(requests, per));
    }
    let mut fields = MappingReader::open(decoder, node, "a rate limit")?;
    fields.require(&["requests"]);
    fields.require(&["per"]);
    let requests = fields.parsed("requests", policies::requests_in_time);
    let per = fields.parsed("per", policies::rate_time);
    let burst = fields.parsed("burst", policies::requests_in_time);
    let by = fields.parsed("by", policies::rate_key);
    let fallback = fields.parsed("else", policies::rate_key);
    let keys = fields.parsed("keys", policies::remembered_keys);
    let ipv6_prefix = fields.parsed("ipv6_prefix", policies::ipv6_prefix);
    let status = fields.parsed("status", policies::refusal_status);
    let wants_fields = fields.flag("fields");
    let named = |key: &RateKey| !matches!(key, RateKey::Client | RateKey::Host | RateKey::All);
    if let Some(fallback) = fallback.as_ref().filter(|key| named(&key.value)) {
        let message = "a request may lack this key too";
        fields.decoder.report.error_hint(fallback.span, message, "write client, host or all");
    }
    fields.close();
    let usual = usual(requests?.value, per?.value);
    Some(RateLimit {
        burst: burst.map_or(usual.burst, |burst| burst.value),
        by: by.map_or(usual.by, |by| by.value),
        fallback: fallback.map_or(usual.fallback, |fallback| fallback.value),
        keys: keys.map_or(usual.keys, |keys| keys.value),
        ipv6_prefix: ipv6_prefix.map_or(usual.ipv6_prefix, |prefix| prefix.value),
        status: status.map_or(usual.status, |status| status.value),
        fields: wants_fields,
        ..usual
    })
}

fn usual(requests: u32, per: Duration) -> RateLimit {
    RateLimit {
        requests,
        per,
        burst: requests,
        by: RateKey::Client,
        fallback: RateKey::Client,
        keys: KEYS,
        ipv6_prefix: 64,
        status: 429,
        fields: false,
    }
}
