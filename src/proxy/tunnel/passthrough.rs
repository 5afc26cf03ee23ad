//! A connection that is passed on as it is: to a target and back, byte for byte, with whatever was read
//! of it while it was decided where it goes. By a rule, or because its listener speaks TCP.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::relay::relay_connection;
use super::tunnel::Tunnel;
use crate::config::plan::{Pass, ProxyProtocol, UpstreamId};
use crate::generation::{ListenerSnapshot, TunnelContext};
use crate::proxy::client::{Client, Exchange};
use crate::proxy::record::{ConnectionRecord, Failure, TunnelStart};
use crate::proxy::transfer::write_all;
use crate::proxy_protocol;
use crate::upstream::{ConnectError, TargetConnection};

/// How long a target may take to accept the few bytes that say who the client is.
const HEADER_TIME: Duration = Duration::from_secs(10);

/// Serves a connection to its end. `rule` is the one that passes it on, `None` on a TCP listener; `name`
/// is what the client asked for.
pub(in crate::proxy) async fn serve(
    mut client: Client,
    snapshot: Rc<ListenerSnapshot>,
    rule: Option<usize>,
    name: Box<[u8]>,
) {
    let Some(to) = snapshot.pass(rule).cloned() else { return };
    let context = TunnelContext::new(&snapshot, rule);
    let mut record =
        ConnectionRecord::new(&context, client.peer, &client.stream, TunnelStart { name, exchange: None });
    let reached = reach(&client, &snapshot, &to).await;
    // What follows may take days, and keeps no generation that long.
    drop(snapshot);
    match reached {
        Ok(target) => relay_connection(&mut client, &context, target, to.idle_timeout, record).await,
        Err(failure) if failure.reason.is_client_error() => record.end(Err(failure.reason)),
        Err(failure) => record.fail(&failure),
    }
}

/// Opens the way for a connection whose first request said where to. That request is still in the input, and goes on
/// as it is. From then on this is no exchange any more.
///
/// # Errors
/// When no target can be reached: then the client has been told nothing yet.
pub(in crate::proxy) async fn open(exchange: &mut Exchange<'_>, to: &Pass) -> Result<Box<Tunnel>, Failure> {
    let snapshot = exchange.snapshot;
    let target = match reach(exchange.client, snapshot, to).await {
        Ok(target) => target,
        Err(failure) => {
            exchange.record.received.add(exchange.request.len, snapshot.worker().now());
            return Err(failure);
        }
    };
    let context = TunnelContext::new(snapshot, exchange.record.rule);
    let start = exchange.record.withdraw();
    Ok(Box::new(Tunnel { context, target, timeout: to.idle_timeout, start }))
}

/// A link to a target that knows who the client is, if it is to; unless the client resets its connection before
/// there is one.
async fn reach(
    client: &Client,
    snapshot: &ListenerSnapshot,
    to: &Pass,
) -> Result<Box<TargetConnection>, Failure> {
    client.unless_gone(introduced(client, snapshot, to)).await
}

async fn introduced(
    client: &Client,
    snapshot: &ListenerSnapshot,
    to: &Pass,
) -> Result<Box<TargetConnection>, Failure> {
    let target = connect(snapshot, to.upstream).await?;
    if let Some(version) = to.send_proxy_protocol {
        let header = header(client, version).map_err(Failure::of_client)?;
        let mut slices = [IoSlice::new(&header)];
        let timer = snapshot.worker().timer();
        write_all(&target.stream, &mut slices, &timer, HEADER_TIME).await.map_err(Failure::of_target)?;
    }
    Ok(target)
}

/// To the next target, and to those after it while nothing answers.
async fn connect(snapshot: &ListenerSnapshot, id: UpstreamId) -> Result<Box<TargetConnection>, ConnectError> {
    let upstream = snapshot.upstreams.get(id);
    let first = upstream.next_target();
    let own = snapshot.state.listening.borrow().clone();
    let mut tried = 0;
    loop {
        match upstream.pool(first, tried).open(snapshot.worker(), upstream.connect_timeout, &own).await {
            Ok(target) => {
                upstream.counters.opened.add(1);
                return Ok(target);
            }
            Err(error) => {
                upstream.counters.failed.add(1);
                tried += 1;
                if tried >= upstream.tries() {
                    return Err(error);
                }
            }
        }
    }
}

/// Who the client is, as the target reads it.
fn header(client: &Client, version: ProxyProtocol) -> std::io::Result<Vec<u8>> {
    let (from, to) = match client.proxy_header_addresses.as_deref() {
        Some(proxy_header_addresses) => *proxy_header_addresses,
        None => client.stream.addresses()?,
    };
    let version = match version {
        ProxyProtocol::V1 => proxy_protocol::Version::V1,
        ProxyProtocol::V2 => proxy_protocol::Version::V2,
    };
    let mut header = Vec::new();
    let plain = |address: SocketAddr| (address.ip().to_canonical(), address.port()).into();
    proxy_protocol::write(version, plain(from), plain(to), &mut header);
    Ok(header)
}
