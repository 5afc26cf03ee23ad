//! What comes before the first request, or in place of requests: a PROXY header, a TLS handshake, a
//! connection that is passed on.

use std::future::Future;

use super::connection::{self, Client, Exchanges};
use super::handshake;
use super::introduction;
use super::passthrough;
use super::record;
use super::site::{Site, Verdict};

/// Whether nothing does: such a connection needs no task with room for more than requests.
pub(super) fn is_short(client: &Client, site: &Site) -> bool {
    site.terminator().is_none() && site.tcp().is_none() && !introduction::is_due(client, site)
}

/// Serves a connection from its first byte to its last.
///
/// No `async fn`, and the arrival is boxed: so that what stays of it once there are requests is nothing.
pub(super) fn serve<E, F>(client: Client, exchanges: Exchanges<E, F>) -> impl Future<Output = ()>
where
    E: Fn(Client) -> F,
    F: Future<Output = Option<Client>>,
{
    let arrival = Box::pin(connection::unless_sent_away(client, arrive));
    async move {
        if let Some(client) = arrival.await {
            connection::serve(client, exchanges).await;
        }
    }
}

/// Gives the client back when requests are to follow; `None` when its connection is over.
pub(super) async fn arrive(mut client: Client) -> Option<Client> {
    let mut site = client.door.site();
    if introduction::is_due(&client, &site) {
        introduction::read(&mut client, &site).await?;
    }
    let mut name: Box<[u8]> = Box::default();
    if site.terminator().is_some() {
        drop(site);
        // Boxed, so that a connection that is passed on does not carry a handshake's size.
        let looked = Box::pin(handshake::begin(client)).await?;
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
