//! A connection that is passed on as it is, because a rule or a TCP listener says so. Bytes that were read for that
//! decision go to the target, too.

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

/// How long a target may take to accept the PROXY header.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Passes a connection on, to its end. `rule` is the index of the rule that says so, `None` on a TCP listener. `name`
/// is the server name that the client asked for.
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
    let opened = open_target(&client, &snapshot, &to).await;
    // Release the generation: a tunnel may take days.
    drop(snapshot);
    match opened {
        Ok(target) => relay_connection(&mut client, &context, target, to.idle_timeout, record).await,
        Err(failure) if failure.reason.is_client_error() => record.end(Err(failure.reason)),
        Err(failure) => record.fail(&failure),
    }
}

/// Opens the tunnel for a connection whose first request led to a `pass` rule. That request is still in the input,
/// and is relayed as it is. The access log has a connection then, and no exchange.
///
/// # Errors
/// When no target can be reached: the client was sent nothing yet.
pub(in crate::proxy) async fn open(exchange: &mut Exchange<'_>, to: &Pass) -> Result<Box<Tunnel>, Failure> {
    let snapshot = exchange.snapshot;
    let target = match open_target(exchange.client, snapshot, to).await {
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

/// Connects to a target and sends it a PROXY header if the rule says so, unless the client resets its connection
/// before that.
async fn open_target(
    client: &Client,
    snapshot: &ListenerSnapshot,
    to: &Pass,
) -> Result<Box<TargetConnection>, Failure> {
    client.unless_gone(false, connect_and_announce(client, snapshot, to)).await
}

async fn connect_and_announce(
    client: &Client,
    snapshot: &ListenerSnapshot,
    to: &Pass,
) -> Result<Box<TargetConnection>, Failure> {
    let target = connect(snapshot, to.upstream).await?;
    if let Some(version) = to.send_proxy_protocol {
        let header = header(client, version).map_err(Failure::of_client)?;
        let mut slices = [IoSlice::new(&header)];
        let timer = snapshot.worker().timer();
        write_all(&target.stream, &mut slices, &timer, HEADER_TIMEOUT).await.map_err(Failure::of_target)?;
    }
    Ok(target)
}

/// Connects to the next target. Tries those after it while connecting fails.
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

/// The PROXY header that announces the client.
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
