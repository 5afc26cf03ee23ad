//! What comes before the first request, or in place of requests: a PROXY header, a TLS handshake, a
//! connection that is passed on.

use std::future::Future;
use std::rc::Rc;

use super::connection::{self, Client};
use super::door::Door;
use super::guests::UnlessSentAway;
use super::handshake;
use super::introduction;
use super::passthrough;
use super::record;
use super::site::{Site, Verdict};
use crate::worker::Parking;

/// Whether nothing does: such a connection needs no task with room for more than requests.
pub(super) fn is_short(client: &Client, site: &Site) -> bool {
    site.terminator().is_none() && site.tcp().is_none() && !introduction::is_due(client, site)
}

/// Serves a connection from its first byte to its last.
///
/// No `async fn`, and the arrival is boxed: so that what stays of it once there are requests is nothing.
pub(super) fn serve<F>(
    client: Client,
    door: Rc<Door>,
    parking: Parking<F>,
    exchanges: impl Fn(Client, Rc<Door>) -> F,
) -> impl Future<Output = ()>
where
    F: Future<Output = Option<Client>>,
{
    let (guest, peer, of) = (client.guest.clone(), client.peer, door.clone());
    let sent_away = move || {
        record::sent_away(&of.site(), peer);
        None
    };
    let arrival = Box::pin(UnlessSentAway::new(guest, arrive(client, door.clone()), sent_away));
    async move {
        if let Some(client) = arrival.await {
            connection::serve(client, door, parking, exchanges).await;
        }
    }
}

/// Gives the client back when requests are to follow; `None` when its connection is over.
pub(super) async fn arrive(mut client: Client, door: Rc<Door>) -> Option<Client> {
    let mut site = door.site();
    if introduction::is_due(&client, &site) {
        introduction::read(&mut client, &site).await?;
    }
    let mut name: Box<[u8]> = Box::default();
    if site.terminator().is_some() {
        drop(site);
        // Boxed, so that a connection that is passed on does not carry a handshake's size.
        let looked = Box::pin(handshake::begin(client, &door)).await?;
        (client, name, site) = (looked.client, looked.name, looked.site);
        match looked.verdict {
            Verdict::EndTls => {}
            Verdict::Pass(rule) => {
                passthrough::serve(client, site, Some(rule), name).await;
                return None;
            }
            Verdict::Drop(rule) => {
                record::dropped(&site, &client, rule, &name);
                return None;
            }
        }
    }
    if site.tcp().is_some() {
        passthrough::serve(client, site, None, name).await;
        return None;
    }
    Some(client)
}
