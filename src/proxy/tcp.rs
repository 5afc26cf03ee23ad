//! A connection to a TCP listener: to a target and back, byte for byte.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use super::connection::Client;
use super::failure::Failure;
use super::guests::UnlessSentAway;
use super::record;
use super::site::Site;
use super::transfer::Meter;
use super::tunnel::{self, Side};
use crate::config::plan::UpstreamId;
use crate::log::Reason;
use crate::upstream::{ConnectError, Link};

/// Serves one connection from its first byte to its last.
pub(super) fn serve(mut client: Client, site: Rc<Site>) -> impl Future<Output = ()> {
    let (guest, peer, of) = (client.guest.clone(), client.peer, site.clone());
    let serve = async move {
        let Some(tcp) = site.tcp() else { return };
        let upstream = site.upstreams.get(tcp.upstream);
        let link = match connect(&site, tcp.upstream).await {
            Ok(link) => link,
            Err(error) => {
                let Failure { reason, detail } = error.into();
                site.state.counters.own_answer(reason);
                let (client, upstream) = (client.peer, &*upstream.name);
                return tracing::warn!(reason = reason.code(), %detail, %client, upstream, "connection failed");
            }
        };
        relay(&mut client, &site, None, link, tcp.idle_timeout).await;
    };
    UnlessSentAway::new(guest, serve, move || record::sent_away(&of, peer))
}

/// To the next target, and to those after it while nothing answers.
pub(super) async fn connect(site: &Site, id: UpstreamId) -> Result<Link, ConnectError> {
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

/// Bytes both ways until the connection ends. `rule` is the one that passed it on, if one did.
pub(super) async fn relay(
    client: &mut Client,
    site: &Rc<Site>,
    rule: Option<usize>,
    mut link: Link,
    patience: Duration,
) {
    client.guest.is_tunnel(site, rule);
    let (worker, now) = (site.worker(), site.worker().now());
    let (received, sent) =
        (Meter::new(&site.counters.bytes_in, now), Meter::new(&site.counters.bytes_out, now));
    let target = Side::new(&link.stream, &mut link.input);
    let relay = tunnel::relay(worker, Side::of_client(client), target, (&received, &sent), patience);
    if let Err(reason) = relay.await {
        end_badly(site, client, reason);
    }
}

fn end_badly(site: &Site, client: &Client, reason: Reason) {
    site.state.counters.own_answer(reason);
    tracing::debug!(reason = reason.code(), client = %client.peer, listener = %site.listener().name, "connection ended");
}
