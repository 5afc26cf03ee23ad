//! A client's connection: mostly waiting.
//!
//! What waits is this small task: a socket, an address, a timer. When a request comes, a place for
//! the large future of an exchange is rented, and given back when the exchange has ended.

use std::future::Future;
use std::net::IpAddr;
use std::rc::Rc;

use super::door::Door;
use super::guests::Guest;
use super::record;
use super::request;
use super::site::{Permit, Site};
use crate::tls::{Input, Stream};
use crate::worker::{Parking, Timer};

/// One connection of a client.
pub(super) struct Client {
    pub(super) stream: Stream,
    pub(super) input: Input,
    /// The address of the other side; an IPv4 address that came by way of IPv6 is one again.
    pub(super) peer: IpAddr,
    /// For everything that is read from the client.
    pub(super) timer: Timer,
    pub(super) guest: Rc<Guest>,
    pub(super) _permit: Permit,
}

/// Serves a connection until one side has enough of it. `exchange` gives the client back when there
/// may be another request.
pub(super) async fn serve<F>(
    mut client: Client,
    door: Rc<Door>,
    parking: Parking<F>,
    exchange: impl Fn(Client, Rc<Site>) -> F,
) where
    F: Future<Output = Option<Client>>,
{
    let (guest, peer) = (client.guest.clone(), client.peer);
    let serve = async {
        loop {
            // Pipelined requests are here already.
            if client.input.is_empty() && !request::wait_for_one(&client, &door.site()).await {
                return;
            }
            match parking.park(exchange(client, door.site())).await {
                Some(same) => client = same,
                None => return,
            }
        }
    };
    if guest.unless_sent_away(serve).await.is_none() {
        record::sent_away(&door.site(), peer);
    }
}
