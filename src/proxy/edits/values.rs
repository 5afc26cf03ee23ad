//! The parts of a request that placeholders stand for.

use std::net::IpAddr;

use crate::config::plan::Rule;
use crate::http::{HostKey, RequestHead, TemplateValues, behind_prefix, match_path};
use crate::proxy::client::Exchange;

/// A client, as placeholders show it.
#[derive(Clone, Copy)]
pub(in crate::proxy) struct ClientValues {
    /// Its address, which a trusted proxy may tell.
    pub(in crate::proxy) address: IpAddr,
    /// `http` or `https`.
    pub(in crate::proxy) scheme: &'static str,
}

impl ClientValues {
    pub(in crate::proxy) fn of(exchange: &Exchange<'_>) -> Self {
        let scheme = if exchange.client.stream.is_encrypted() { "https" } else { "http" };
        Self { address: exchange.record.client, scheme }
    }
}

/// Calls `with` with the parts of a request that placeholders of its rule stand for.
pub(in crate::proxy) fn with_values<T>(
    rule: &Rule,
    head: &RequestHead<'_>,
    client: ClientValues,
    request_id: &[u8],
    with: impl FnOnce(&TemplateValues<'_>) -> T,
) -> T {
    let host = head.host_key();
    let host = host.as_ref().map_or(&[][..], HostKey::as_bytes);
    let path = match_path(head.path);
    with(&TemplateValues {
        method: head.method,
        host,
        path: head.path,
        rest: behind_prefix(head.path, rule.path_prefix.trim_end_matches('/')),
        query: head.query,
        fields: head.fields,
        scheme: client.scheme,
        client: client.address,
        rule: &rule.name,
        request_id,
        captures: rule.capture(host, &path),
    })
}
