//! The parts of a request that placeholders stand for.

use std::net::IpAddr;
use std::time::SystemTime;

use crate::config::plan::Rule;
use crate::http::{Authority, Claim, HostKey, RequestHead, TemplateValues, behind_prefix, match_path};
use crate::log::clock::Utc;
use crate::policy::PolicyState;
use crate::proxy::client::Exchange;
use crate::proxy::record::Identities;

/// A client, as placeholders show it.
#[derive(Clone, Copy)]
pub(in crate::proxy) struct ClientValues<'a> {
    /// Its address, which a trusted proxy may tell.
    pub(in crate::proxy) address: IpAddr,
    /// `http` or `https`.
    pub(in crate::proxy) scheme: &'static str,
    /// The name of the user. Empty if it is not known.
    pub(in crate::proxy) user: &'a [u8],
    /// The claims of the user's token.
    pub(in crate::proxy) claims: &'a [Claim],
}

impl<'a> ClientValues<'a> {
    pub(in crate::proxy) fn of(exchange: &'a Exchange<'_>) -> Self {
        let address = exchange.record.client;
        Self::new(address, exchange.client.stream.is_encrypted(), &exchange.record.policies)
    }

    pub(in crate::proxy) fn new(address: IpAddr, is_encrypted: bool, policies: &'a PolicyState) -> Self {
        let scheme = if is_encrypted { "https" } else { "http" };
        Self { address, scheme, user: policies.user(), claims: policies.claims() }
    }
}

/// Calls `with` with the parts of a request that placeholders of its rule stand for.
pub(in crate::proxy) fn with_values<T>(
    rule: &Rule,
    head: &RequestHead<'_>,
    client: ClientValues<'_>,
    identities: Identities<'_>,
    with: impl FnOnce(&TemplateValues<'_>) -> T,
) -> T {
    let host = head.host_key();
    let host = host.as_ref().map_or(&[][..], HostKey::as_bytes);
    let path = match_path(head.path);
    with(&TemplateValues {
        method: head.method,
        host,
        authority: head.host.as_ref().map_or(&[], Authority::as_bytes),
        path: head.path,
        rest: behind_prefix(head.path, rule.path_prefix.trim_end_matches('/')),
        query: head.query,
        fields: head.fields,
        scheme: client.scheme,
        client: client.address,
        rule: &rule.name,
        time: format_args!("{}", Utc::from(SystemTime::now())),
        request_id: identities.request_id,
        traceparent: identities.traceparent,
        user: client.user,
        claims: client.claims,
        captures: rule.capture(host, &path),
    })
}
