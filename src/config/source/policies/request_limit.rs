//! `max_requests` as written.

use std::sync::Arc;

use super::policy::policy;
use crate::config::decode::{Decoder, MappingReader};
use crate::config::plan::{ReadPolicy, RequestLimit};
use crate::config::syntax::{Node, Value};
use crate::config::values::{policies, scalar};

impl ReadPolicy<RequestLimit> for MappingReader<'_, '_> {
    fn policy(&mut self, name: &'static str) -> Option<Option<Arc<RequestLimit>>> {
        policy(self, name, request_limit)
    }
}

/// A number, or `{ requests, waiting, timeout }`.
fn request_limit(decoder: &mut Decoder<'_>, node: Node) -> Option<RequestLimit> {
    if !matches!(node.value, Value::Map(_)) {
        let requests = decoder.parsed(node, policies::open_requests)?.value;
        return Some(RequestLimit { requests, ..RequestLimit::default() });
    }
    let mut fields = MappingReader::open(decoder, node, "`max_requests`")?;
    fields.require(&["requests"]);
    let requests = fields.parsed("requests", policies::open_requests);
    let waiting = fields.parsed("waiting", policies::waiting_requests);
    let timeout = fields.parsed("timeout", scalar::timeout);
    if let Some(span) =
        fields.at("timeout").filter(|_| waiting.as_ref().is_none_or(|waiting| waiting.value == 0))
    {
        let hint = "`waiting` is how many requests may wait";
        fields.decoder.report.error_hint(span, "`timeout` means nothing without `waiting`", hint);
    }
    fields.close();
    let usual = RequestLimit::default();
    Some(RequestLimit {
        requests: requests?.value,
        waiting: waiting.map_or(usual.waiting, |waiting| waiting.value),
        timeout: timeout.map_or(usual.timeout, |timeout| timeout.value),
    })
}
