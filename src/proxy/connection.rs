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
    use crate::proxy::{arrival, door, http, tunnel};
    use crate::worker::Listener;

    fn size<A, B, F>(_: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    /// What a connection costs beside its socket is mostly its future, and any value that lives across an
    /// await makes that larger. `cargo test what_tasks_hold -- --nocapture` prints all of them.
    #[test]
    #[expect(clippy::print_stdout, reason = "the sizes are to be seen, not only to be small")]
    fn what_tasks_hold_is_little() {
        let parking = Parking::<std::future::Ready<Option<Client>>>::default;
        let no_exchange = |client, _| std::future::ready(Some(client));
        let waits = size(|client, door| serve(client, door, parking(), no_exchange));
        let waits_under_tls = size(|client, door| arrival::serve(client, door, parking(), no_exchange));
        let accepts = size(|door, listener: Listener| door::keep_open(door, listener, http::exchanges));
        let tasks = [
            ("a connection that waits", waits, 512),
            ("the same where TLS is ended: nothing of the handshake stays", waits_under_tls, 576),
            ("its exchanges, boxed for as long as they follow each other", size(http::exchanges), 4352),
            ("what comes before them, boxed: also what is passed on", size(arrival::arrive), 4608),
            ("a tunnel after 101, boxed", size(tunnel::Tunnel::run), 4096),
            ("accepting, one for each address and worker", accepts, 1024),
        ];
        println!("bytes   at most   the future of");
        for (task, bytes, most) in tasks {
            println!("{bytes:5}   {most:7}   {task}");
        }
        for (task, bytes, most) in tasks {
            assert!(bytes <= most, "{task}: {bytes} bytes; a client is {}", size_of::<Client>());
        }
    }
}
