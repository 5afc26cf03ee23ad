//! A connection that is passed on as it is: to a target and back, byte for byte, with whatever was read
//! of it while it was decided where it goes. By a rule, or because its listener speaks TCP.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::connection::Client;
use super::failure::Failure;
use super::ground::Ground;
use super::record::{Prelude, Record, Visit};
use super::site::Site;
use super::transfer::write_all;
use super::tunnel::{self, Tunnel};
use crate::config::plan::{Pass, ProxyProtocol, UpstreamId};
use crate::proxy_protocol;
use crate::upstream::{ConnectError, Link};

/// How long a target may take to accept the few bytes that say who the client is.
const HEADER_TIME: Duration = Duration::from_secs(10);

/// Serves a connection to its end. `rule` is the one that passes it on, `None` on a TCP listener; `name`
/// is what the client asked for.
pub(super) async fn serve(mut client: Client, site: Rc<Site>, rule: Option<usize>, name: Box<[u8]>) {
    let Some(to) = site.pass(rule).cloned() else { return };
    let ground = Ground::new(&site, rule);
    let mut visit = Visit::new(&ground, &client, Prelude { name, exchange: None });
    let reached = reach(&client, &site, &to).await;
    // What follows may take days, and keeps no generation that long.
    drop(site);
    match reached {
        Ok(link) => tunnel::keep(&mut client, &ground, link, to.idle_timeout, visit).await,
        Err(failure) if failure.reason.is_of_the_client() => visit.end(Err(failure.reason)),
        Err(failure) => visit.fail(&failure),
    }
}

/// Opens the way for a connection whose first request said where to; the bytes of it are still there. Then it is
/// no exchange any more.
///
/// # Errors
/// When no target can be reached: then the client has been told nothing yet.
pub(super) async fn open(
    client: &Client,
    record: &mut Record<'_>,
    to: &Pass,
) -> Result<Box<Tunnel>, Failure> {
    let link = reach(client, record.site, to).await?;
    let ground = Ground::new(record.site, record.rule);
    let prelude = record.withdraw();
    Ok(Box::new(Tunnel { ground, link, patience: to.idle_timeout, prelude }))
}

/// A link to a target that knows who the client is, if it is to; unless the client resets its connection before
/// there is one.
async fn reach(client: &Client, site: &Site, to: &Pass) -> Result<Box<Link>, Failure> {
    client.unless_gone(introduced(client, site, to)).await
}

async fn introduced(client: &Client, site: &Site, to: &Pass) -> Result<Box<Link>, Failure> {
    let link = connect(site, to.upstream).await?;
    if let Some(version) = to.send_proxy_protocol {
        let header = header(client, version).map_err(Failure::of_client)?;
        let mut slices = [IoSlice::new(&header)];
        let timer = site.worker().timer();
        write_all(&link.stream, &mut slices, &timer, HEADER_TIME).await.map_err(Failure::of_target)?;
    }
    Ok(link)
}

/// To the next target, and to those after it while nothing answers.
async fn connect(site: &Site, id: UpstreamId) -> Result<Box<Link>, ConnectError> {
    let upstream = site.upstreams.get(id);
    let first = upstream.choose();
    let mut tried = 0;
    loop {
        match upstream.pool(first, tried).open(site.worker(), upstream.connect_timeout).await {
            Ok(link) => {
                upstream.counters.opened.add(1);
                return Ok(link);
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
    let (from, to) = match client.announced.as_deref() {
        Some(announced) => *announced,
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
