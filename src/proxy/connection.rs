//! A client's connection: mostly waiting.
//!
//! What waits is this small task: a socket, an address, a timer. When a request comes, a place for
//! the large future of an exchange is rented, and given back when the exchange has ended.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use super::door::{Counted, Door};
use super::guests::{Guest, UnlessSentAway};
use super::record;
use super::request::{self, Awaited};
use super::site::Permit;
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
    /// Addresses of the client and of what it connected to, where a PROXY header named them.
    pub(super) announced: Option<Box<(SocketAddr, SocketAddr)>>,
    pub(super) guest: Rc<Guest>,
    pub(super) _permit: Permit,
    pub(super) _counted: Counted,
}

/// Serves a connection until one side has enough of it. `exchanges` gives the client back when it has
/// fallen silent.
///
/// No `async fn`: its arguments would be stored twice, as arguments and in the block that uses them.
pub(super) fn serve<F>(
    mut client: Client,
    door: Rc<Door>,
    parking: Parking<F>,
    exchanges: impl Fn(Client, Rc<Door>) -> F,
) -> impl Future<Output = ()>
where
    F: Future<Output = Option<Client>>,
{
    let (guest, peer, of) = (client.guest.clone(), client.peer, door.clone());
    let serve = async move {
        loop {
            // Asked for and let go: who waits for minutes must not keep a generation that is long replaced.
            let patience = door.site().http().map(|http| http.idle_timeout);
            let Some(patience) = patience else { return };
            // What came along with a PROXY header is here already.
            if client.input.is_empty() && !matches!(request::wait(&client, patience).await, Awaited::Request)
            {
                return;
            }
            match parking.park(exchanges(client, door.clone())).await {
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

    /// The place that an exchange rents: some kilobytes, for as long as requests follow each other.
    #[test]
    fn what_serves_is_not_large() {
        fn size<F>(_: &impl Fn(Client, Rc<Door>) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = size(&crate::proxy::http::exchanges);
        assert!(bytes <= 4608, "{bytes} bytes");
    }

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

    /// The same where TLS is ended: of the handshake nothing may stay but a pointer and the door.
    #[test]
    fn what_waits_under_tls_is_small() {
        fn size<F>(_: &impl Fn(Client, Rc<Door>, Parking<std::future::Ready<Option<Client>>>) -> F) -> usize {
            size_of::<F>()
        }
        let serve = |client, door, parking| {
            crate::proxy::arrival::serve(client, door, parking, |client, _| std::future::ready(Some(client)))
        };
        assert!(size(&serve) <= 576, "{} bytes", size(&serve));
    }
}
