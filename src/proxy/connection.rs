//! A client's connection: mostly waiting.
//!
//! What waits is this small task: a socket, an address, a timer. When a request comes, a place for
//! the large future of an exchange is rented, and given back when the exchange has ended.

use std::future::Future;
use std::net::IpAddr;
use std::rc::Rc;

use super::door::{Counted, Door};
use super::guests::{Guest, UnlessSentAway};
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
    pub(super) _counted: Counted,
}

/// Serves a connection until one side has enough of it. `exchange` gives the client back when there
/// may be another request.
///
/// No `async fn`: its arguments would be stored twice, as arguments and in the block that uses them.
pub(super) fn serve<F>(
    mut client: Client,
    door: Rc<Door>,
    parking: Parking<F>,
    exchange: impl Fn(Client, Rc<Site>) -> F,
) -> impl Future<Output = ()>
where
    F: Future<Output = Option<Client>>,
{
    let (guest, peer, of) = (client.guest.clone(), client.peer, door.clone());
    let serve = async move {
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
    UnlessSentAway::new(guest, serve, move || record::sent_away(&of.site(), peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an idle connection costs beside its socket: the largest part of it is this future.
    #[test]
    fn what_waits_is_small() {
        fn size<F>(_: &impl Fn(Client, Rc<Door>, Parking<std::future::Ready<Option<Client>>>) -> F) -> usize {
            size_of::<F>()
        }
        let serve = |client, door, parking| {
            serve(client, door, parking, |client, _| std::future::ready(Some(client)))
        };
        assert!(size(&serve) <= 512, "{} bytes; a client is {}", size(&serve), size_of::<Client>());
    }
}
