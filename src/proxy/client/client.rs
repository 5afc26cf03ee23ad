//! A client: its connection, the bytes read from it, and its address.

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
use crate::policy::ConnectionSpeed;
use crate::proxy::record::Failure;
use crate::reason::Reason;
use crate::tls::{Input, Stream};
use crate::worker::Timer;

/// One connection of a client.
pub(in crate::proxy) struct Client {
    /// The listener that accepted it.
    pub(in crate::proxy) listener_state: Rc<ListenerState>,
    pub(in crate::proxy) stream: Stream,
    pub(in crate::proxy) input: Input,
    /// The client's address: that of the connection, or that of a PROXY header. Never an IPv4-mapped IPv6 address.
    pub(in crate::proxy) peer: IpAddr,
    /// The timer for waits for the client.
    pub(in crate::proxy) timer: Timer,
    /// Addresses of the client and of its destination, if a PROXY header announced them.
    pub(in crate::proxy) proxy_header_addresses: Option<Box<(SocketAddr, SocketAddr)>>,
    pub(in crate::proxy) handle: Rc<ConnectionHandle>,
    pub(in crate::proxy) speed: ConnectionSpeed,
    pub(in crate::proxy) _permit: Permit,
    pub(in crate::proxy) _counted: OpenConnection,
}

impl Client {
    /// Runs `future`, unless the client resets its connection first, or with `at_end` ends its side.
    ///
    /// # Errors
    /// Those of `future`, and `ClientGone`.
    pub(in crate::proxy) async fn unless_gone<T, E: Into<Failure>>(
        &self,
        at_end: bool,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        let mut future = pin!(future);
        let until_gone = poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Pending if self.stream.poll_gone(cx, at_end).is_ready() => {
                Poll::Ready(Err(Failure::new(Reason::ClientGone)))
            }
            result => result.map_err(Into::into),
        });
        until_gone.await
    }

    /// Lists the connection as idle until the result is dropped. An idle connection may have to make room for
    /// another.
    pub(in crate::proxy) fn idle(&self) -> Idling {
        self.listener_state.idle(&self.handle)
    }
}

/// The IP address of a peer, as IPv4 if it is an IPv4-mapped IPv6 address.
pub(in crate::proxy) fn peer_address(peer: SocketAddr) -> IpAddr {
    peer.ip().to_canonical()
}

/// A connection in the counters of its listener. It is counted as opened here, and as closed when dropped.
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
