//! A connection that is passed on as it is: to a target and back, byte for byte, with whatever was read
//! of it while it was decided where it goes. By a rule, or because its listener speaks TCP.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::connection::Client;
use super::failure::Failure;
use super::record::Visit;
use super::request::Request;
use super::site::Site;
use super::transfer::write_all;
use super::tunnel::{self, Side};
use crate::config::plan::{Pass, ProxyProtocol, UpstreamId};
use crate::proxy_protocol;
use crate::upstream::{ConnectError, Link};

/// How long a target may take to accept the few bytes that say who the client is.
const HEADER_TIME: Duration = Duration::from_secs(10);

/// Serves a connection to its end. `rule` is the one that passes it on, `None` on a TCP listener; `name`
/// is what the client asked for.
pub(super) async fn serve(mut client: Client, site: &Rc<Site>, rule: Option<usize>, name: &[u8]) {
    let Some(to) = site.pass(rule) else { return };
    let mut visit = Visit::new(site, &client, rule, name);
    match reach(&client, site, to).await {
        Ok(link) => relay(&mut client, site, rule, to, link, visit).await,
        Err(failure) => visit.fail(&failure),
    }
}

/// Passes a connection on whose first request said where to; the bytes of it are still there.
///
/// # Errors
/// When no target can be reached: then the client has been told nothing yet.
pub(super) async fn pass(
    client: &mut Client,
    site: &Rc<Site>,
    request: &Request,
    to: &Pass,
) -> Result<(), Failure> {
    let link = reach(client, site, to).await?;
    let name = request.note.as_deref().map_or(&b""[..], |note| &note.host);
    let visit = Visit::new(site, client, request.rule, name);
    relay(client, site, request.rule, to, link, visit).await;
    Ok(())
}

/// A link to a target that knows who the client is, if it is to.
async fn reach(client: &Client, site: &Site, to: &Pass) -> Result<Link, Failure> {
    let link = connect(site, to.upstream).await?;
    if let Some(version) = to.send_proxy_protocol {
        let header = header(client, version).map_err(Failure::of_client)?;
        let mut slices = [IoSlice::new(&header)];
        let timer = site.worker().timer();
        write_all(&link.stream, &mut slices, &timer, HEADER_TIME).await.map_err(Failure::of_target)?;
    }
    Ok(link)
}

/// Bytes both ways until the connection ends, what was read of it first.
async fn relay(
    client: &mut Client,
    site: &Rc<Site>,
    rule: Option<usize>,
    to: &Pass,
    mut link: Link,
    mut visit: Visit<'_>,
) {
    client.guest.is_tunnel(site, rule);
    visit.target = Some(link.address);
    let target = Side::new(&link.stream, &mut link.input);
    let meters = (&visit.received, &visit.sent);
    let relay = tunnel::relay(site.worker(), Side::of_client(client), target, meters, to.idle_timeout);
    let ended = relay.await;
    visit.end(ended);
}

/// To the next target, and to those after it while nothing answers.
async fn connect(site: &Site, id: UpstreamId) -> Result<Link, ConnectError> {
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
