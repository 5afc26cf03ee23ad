//! A client: its stream, what was read of it, and its address.

use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use super::connections::ConnectionHandle;
use super::idle::Idling;
use super::listener_state::ListenerState;
use crate::generation::{ListenerSnapshot, Permit};
use crate::metrics::ListenerCounters;
use crate::proxy::record::Failure;
use crate::reason::Reason;
use crate::tls::{Input, Stream};
use crate::worker::Timer;

/// One connection of a client.
pub(in crate::proxy) struct Client {
    /// Where it came in.
    pub(in crate::proxy) listener_state: Rc<ListenerState>,
    pub(in crate::proxy) stream: Stream,
    pub(in crate::proxy) input: Input,
    /// The address of the other side; an IPv4 address that came by way of IPv6 is one again.
    pub(in crate::proxy) peer: IpAddr,
    /// For everything that is read from the client.
    pub(in crate::proxy) timer: Timer,
    /// Addresses of the client and of what it connected to, where a PROXY header named them.
    pub(in crate::proxy) proxy_header_addresses: Option<Box<(SocketAddr, SocketAddr)>>,
    pub(in crate::proxy) handle: Rc<ConnectionHandle>,
    pub(in crate::proxy) _permit: Permit,
    pub(in crate::proxy) _counted: OpenConnection,
}

impl Client {
    /// What `future` gives, unless the client resets its connection first: then nothing is waited for.
    ///
    /// # Errors
    /// Those of `future`, and `ClientGone`.
    pub(in crate::proxy) async fn unless_gone<T, E: Into<Failure>>(
        &self,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        let mut future = pin!(future);
        let until_gone = poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Pending if self.stream.poll_closed(cx).is_ready() => {
                Poll::Ready(Err(Failure::new(Reason::ClientGone)))
            }
            result => result.map_err(Into::into),
        });
        until_gone.await
    }

    /// Says that it waits for a request, until what this returns is dropped: it may have to make room for others.
    pub(in crate::proxy) fn idle(&self) -> Idling {
        self.listener_state.idle(&self.handle)
    }
}

/// An IPv4 address that came by way of an IPv6 socket is one again.
pub(in crate::proxy) fn peer_address(peer: SocketAddr) -> IpAddr {
    peer.ip().to_canonical()
}

/// A connection in the counters of its listener: opened when made, closed when dropped.
pub(in crate::proxy) struct OpenConnection(Arc<ListenerCounters>);

impl OpenConnection {
    pub(in crate::proxy) fn new(snapshot: &ListenerSnapshot) -> Self {
        snapshot.counters.opened.add(1);
        Self(snapshot.counters.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.closed.add(1);
    }
}
