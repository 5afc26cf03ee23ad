//! A peer that is trusted to say who its client is says it first, with a PROXY header.

use std::future::Future;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::connection::{self, Client};
use super::door::{Door, peer_address};
use super::guests::UnlessSentAway;
use super::handshake;
use super::record;
use super::site::Site;
use super::tcp;
use crate::log::Reason;
use crate::proxy_protocol::{HEADER_BYTES_MAX, HeaderError, parse};
use crate::worker::Parking;

/// How long a peer may take to say who its client is.
const INTRODUCTION_TIME: Duration = Duration::from_secs(10);

/// Serves a connection of such a peer: what comes behind the header is served as if the client itself
/// had connected.
pub(super) async fn serve<F>(
    client: Client,
    door: Rc<Door>,
    site: Rc<Site>,
    parking: Parking<F>,
    exchanges: impl Fn(Client, Rc<Door>) -> F,
) where
    F: Future<Output = Option<Client>>,
{
    let Some(client) = Box::pin(introduced(client, site)).await else { return };
    let site = door.site();
    if site.terminator().is_some() {
        drop(site);
        Box::pin(handshake::serve(client, door, parking, exchanges)).await;
    } else if site.tcp().is_some() {
        Box::pin(tcp::serve(client, site)).await;
    } else {
        drop(site);
        connection::serve(client, door, parking, exchanges).await;
    }
}

/// The client, under the address that it was announced with; `None` when the connection is over.
async fn introduced(mut client: Client, site: Rc<Site>) -> Option<Client> {
    let (guest, peer) = (client.guest.clone(), client.peer);
    let mut introduced = None;
    let attempt = async {
        let timer = site.worker().timer();
        match timer.within(INTRODUCTION_TIME, read(&mut client)).await {
            Ok(Ok(())) => introduced = Some(client),
            // A look whether the port is open.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && client.input.is_empty() => {}
            Ok(Err(error)) => refuse(&site, &client, error.explain()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                refuse(&site, &client, "no PROXY header came in time");
            }
            Err(error) => refuse(&site, &client, &error.to_string()),
        }
    };
    UnlessSentAway::new(guest, attempt, || record::sent_away(&site, peer)).await;
    introduced
}

/// Reads the header and takes it off. The outer result is for the timer.
async fn read(client: &mut Client) -> io::Result<Result<(), HeaderError>> {
    loop {
        match parse(client.input.unread()) {
            Ok(Some(header)) => {
                client.input.consume(header.len);
                if let Some(addresses) = header.addresses {
                    client.peer = peer_address(addresses.0);
                    client.announced = Some(Box::new(addresses));
                }
                return Ok(Ok(()));
            }
            Ok(None) => {}
            Err(error) => return Ok(Err(error)),
        }
        if client.input.fill(&client.stream, HEADER_BYTES_MAX).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// It is not answered: nobody knows what its client speaks.
fn refuse(site: &Site, client: &Client, why: &str) {
    let reason = Reason::ProxyHeader;
    site.state.counters.own_answer(reason);
    let (peer, listener) = (client.peer, &*site.listener().name);
    tracing::warn!(reason = reason.code(), %peer, listener, "connection refused: {why}");
}
