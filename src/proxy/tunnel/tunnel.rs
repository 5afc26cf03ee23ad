//! A connection that becomes a tunnel.

use std::rc::Rc;
use std::time::Duration;

use super::relay::relay_connection;
use crate::generation::TunnelContext;
use crate::policy::PolicyState;
use crate::proxy::client::{Client, Exchange, KeepAlive};
use crate::proxy::record::{ConnectionRecord, TunnelStart};
use crate::upstream::TargetConnection;

/// How an act on a request ended.
pub(in crate::proxy) enum Done {
    /// With a response.
    Http(KeepAlive),
    /// With a tunnel, which begins when the exchange and its snapshot are gone.
    Tunnel(Box<Tunnel>),
}

/// A tunnel that is open and not yet run: its target, and the start of its record.
pub(in crate::proxy) struct Tunnel {
    pub(in crate::proxy) context: Rc<TunnelContext>,
    pub(in crate::proxy) target: Box<TargetConnection>,
    /// How long both sides may be silent.
    pub(in crate::proxy) timeout: Duration,
    pub(in crate::proxy) start: TunnelStart,
    /// Its place among the open requests of its rule, and its paces.
    pub(in crate::proxy) policies: PolicyState,
}

impl Tunnel {
    /// Relays bytes both ways until both sides have finished.
    pub(in crate::proxy) async fn run(self: Box<Self>, client: &mut Client) {
        let Self { context, target, timeout, start, policies } = *self;
        let record = ConnectionRecord::new(&context, client.peer, &client.stream, start);
        relay_connection(client, &context, target, timeout, record, &policies).await;
    }
}

/// The tunnel after a 101. Not inlined, because few exchanges become one.
#[cold]
#[inline(never)]
pub(in crate::proxy) fn of_upgrade(
    exchange: &mut Exchange<'_>,
    target: Box<TargetConnection>,
    timeout: Duration,
) -> Box<Tunnel> {
    let context = TunnelContext::new(exchange.snapshot, exchange.record.rule());
    // The status that the client was told (RFC 8441, section 5).
    let status = if exchange.client.is_stream() { 200 } else { 101 };
    let start = exchange.record.tunnel_start(status);
    let policies = exchange.record.policies.for_tunnel();
    Box::new(Tunnel { context, target, timeout, start, policies })
}
