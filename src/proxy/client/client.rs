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
use crate::http1::HeadScan;
use crate::metrics::ListenerCounters;
use crate::mux::Transport;
use crate::policy::ConnectionSpeed;
use crate::proxy::record::Failure;
use crate::reason::Reason;
use crate::tls::Input;
use crate::worker::Timer;

/// One connection of a client.
pub(in crate::proxy) struct Client {
    /// The listener that accepted it.
    pub(in crate::proxy) listener_state: Rc<ListenerState>,
    pub(in crate::proxy) stream: Transport,
    pub(in crate::proxy) input: Input,
    /// The client's address: that of the connection, or that of a PROXY header. Never an IPv4-mapped IPv6 address.
    pub(in crate::proxy) peer: IpAddr,
    /// The timer for waits for the client.
    pub(in crate::proxy) timer: Timer,
    /// Addresses of the client and of its destination, if a PROXY header announced them.
    pub(in crate::proxy) proxy_header_addresses: Option<Rc<(SocketAddr, SocketAddr)>>,
    pub(in crate::proxy) handle: Rc<ConnectionHandle>,
    pub(in crate::proxy) speed: ConnectionSpeed,
    /// Counts against `max_connections`, or a stream of HTTP/2 against `max_streams`.
    pub(in crate::proxy) _permit: Option<Permit>,
    /// Counts the connection. A stream of HTTP/2 has none.
    pub(in crate::proxy) _counted: Option<OpenConnection>,
}

impl Client {
    /// The state of the search for the end of a head. A stream has the form of a head, with its own version.
    #[inline(always)]
    pub(in crate::proxy) fn head_scan(&self) -> HeadScan {
        HeadScan::new(self.is_stream())
    }

    /// Whether this is a stream of HTTP/2, so that it has one request.
    #[inline(always)]
    pub(in crate::proxy) fn is_stream(&self) -> bool {
        self.stream.is_stream()
    }

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
