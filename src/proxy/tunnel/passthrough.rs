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
use crate::policy::PolicyState;
use crate::proxy::client::{Client, Exchange, balance_key};
use crate::proxy::plugins;
use crate::proxy::record::{ConnectionRecord, Failure, TunnelStart};
use crate::proxy::transfer::write_all;
use crate::proxy_protocol;
use crate::reason::Reason;
use crate::upstream::{Hold, Keys, Next, TargetConnection, Upstream, Waits};
use crate::worker::Worker;

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
    let opened = open_target(&client, &snapshot, (rule, &to), record.name()).await;
    let policies = PolicyState::of_connection(snapshot.paces(&to, &client.speed));
    // Release the generation: a tunnel may take days.
    drop(snapshot);
    match opened {
        Ok(target) => {
            relay_connection(&mut client, &context, target, to.idle_timeout, record, &policies).await;
        }
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
    let target = match open_target(exchange.client, snapshot, (exchange.record.rule(), to), b"").await {
        Ok(target) => target,
        Err(failure) => {
            exchange.record.received.add(exchange.request.len, snapshot.worker().moment());
            return Err(failure);
        }
    };
    let context = TunnelContext::new(snapshot, exchange.record.rule());
    let start = exchange.record.withdraw();
    let policies = PolicyState::of_connection(snapshot.paces(to, &exchange.client.speed));
    Ok(Box::new(Tunnel { context, target, timeout: to.idle_timeout, start, policies }))
}

/// Connects to a target and sends it a PROXY header if the rule says so, unless the client resets its connection
/// before that.
async fn open_target(
    client: &Client,
    snapshot: &ListenerSnapshot,
    to: (Option<usize>, &Pass),
    name: &[u8],
) -> Result<Box<TargetConnection>, Failure> {
    // Boxed, because the futures of all exchanges would have room for a handshake.
    client.unless_gone(false, Box::pin(connect_and_announce(client, snapshot, to, name))).await
}

async fn connect_and_announce(
    client: &Client,
    snapshot: &ListenerSnapshot,
    (rule, to): (Option<usize>, &Pass),
    name: &[u8],
) -> Result<Box<TargetConnection>, Failure> {
    if let Some(chain) = &to.plugins {
        plugins::connect(client, snapshot, rule, chain, name).await?;
    }
    let target = connect(client, snapshot, to.upstream, name).await?;
    if let Some(version) = to.send_proxy_protocol {
        let header = header(client, version).map_err(Failure::of_client)?;
        let mut slices = [IoSlice::new(&header)];
        let timer = snapshot.worker().timer();
        write_all(&target.stream, &mut slices, &timer, HEADER_TIMEOUT).await.map_err(Failure::of_target)?;
    }
    Ok(target)
}

/// Connects to an endpoint. Tries others while connecting fails, and waits if the upstream holds connections. `name` is the server name that the client asked for.
async fn connect(
    client: &Client,
    snapshot: &ListenerSnapshot,
    id: UpstreamId,
    name: &[u8],
) -> Result<Box<TargetConnection>, Failure> {
    let (mut upstream, worker) = (snapshot.upstreams.get(id), snapshot.worker());
    let keys_of = |upstream: &Upstream| {
        let hash = upstream.hash_key().and_then(|key| balance_key::of_connection(key, client.peer, name));
        Ok(Keys { hash, cookie: None })
    };
    let own = snapshot.state.listening.borrow().clone();
    let (mut hold, mut waits): (Option<Hold>, Waits) = Default::default();
    loop {
        let failure = match try_to_connect(upstream, worker, &mut waits, keys_of, &own).await {
            Ok(target) => {
                hold.into_iter().for_each(Hold::served);
                return Ok(target);
            }
            Err(failure) => failure,
        };
        // A connection that leads back would do so later, too. For a place it has waited already.
        if matches!(failure.reason, Reason::LoopDetected | Reason::TargetBusy) {
            return Err(failure);
        }
        hold = hold.or_else(|| upstream.hold(worker.now()));
        let Some(held) = &mut hold else { return Err(failure) };
        if !held.wait(worker).await {
            return Err(Failure { reason: Reason::NoTarget, ..failure });
        }
        upstream = upstream.newest();
    }
}

async fn try_to_connect(
    mut upstream: &Upstream,
    worker: &Worker,
    waits: &mut Waits,
    keys_of: impl Fn(&Upstream) -> Result<Keys, Reason>,
    own: &[SocketAddr],
) -> Result<Box<TargetConnection>, Failure> {
    let hash = keys_of(upstream).map_err(Failure::new)?.hash;
    let mut choice = match upstream.choose(worker.now(), hash, None) {
        Some(choice) => choice,
        None => {
            let waiting = upstream.wait_for_place(worker, waits, &keys_of, None);
            let (newest, choice) = waiting.await.map_err(Failure::new)?;
            upstream = newest;
            choice
        }
    };
    loop {
        let error = match upstream.open(worker, &mut choice, own, waits).await {
            Ok(target) => {
                upstream.accepted(&choice);
                return Ok(target);
            }
            Err(error) => error,
        };
        let next = if error.reason == Reason::TargetBusy {
            choice.release();
            Next::Wait
        } else {
            upstream.choose_next(&mut choice, worker.now(), false)
        };
        match next {
            Next::Chosen => {}
            Next::Wait => {
                let waiting = upstream.wait_for_place(worker, waits, &keys_of, Some(&choice));
                (upstream, choice) = waiting.await.map_err(Failure::new)?;
            }
            Next::GiveUp => return Err(error.into()),
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
