//! Waits for the rest of something that a client has begun to send.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use super::connections::ConnectionHandle;
use super::idle::Idling;
use super::listener_state::ListenerState;

/// Why a connection that makes room ends.
const MADE_ROOM: &str = "max_connections was reached, and no other client had let smolgate wait longer";

/// A client that has begun something and not ended it: a PROXY header, a handshake, a head, a body that is discarded.
/// While smolgate waits for the rest, the connection is idle. Otherwise one byte would be enough to hold a permit.
#[derive(Default)]
pub(in crate::proxy) struct Unfinished {
    /// Set from the first wait to the end, so that a client that sends single bytes does not move back in the list.
    idling: Option<Idling>,
}

impl Unfinished {
    /// Counts the connection as idle from now on, if it is not yet.
    pub(super) fn begin(&mut self, listener_state: &ListenerState, handle: &Rc<ConnectionHandle>) -> &Idling {
        self.idling.get_or_insert_with(|| listener_state.idle(handle))
    }

    /// Runs `future`, which waits for the client of the connection with that handle.
    ///
    /// # Errors
    /// `QuotaExceeded` if the connection has to make room for another, and any error of the future.
    pub(in crate::proxy) async fn wait<T>(
        &mut self,
        listener_state: &ListenerState,
        handle: &Rc<ConnectionHandle>,
        future: impl Future<Output = io::Result<T>>,
    ) -> io::Result<T> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(result) = future.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            if self.begin(listener_state, handle).must_make_room() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::QuotaExceeded, MADE_ROOM)));
            }
            Poll::Pending
        })
        .await
    }
}
