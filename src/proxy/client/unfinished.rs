//! Waits for the rest of what a client has begun.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use super::connections::ConnectionHandle;
use super::idle::Idling;
use super::listener_state::ListenerState;

/// Why a connection ends that was asked to make room.
const MADE_ROOM: &str = "max_connections was reached, and the client had let the gate wait longest";

/// A client that has begun something and not ended it: a PROXY header, a handshake, a head, a body that is
/// discarded. While it lets smolgate wait, its connection is idle: otherwise one byte would be enough to keep
/// its place.
#[derive(Default)]
pub(in crate::proxy) struct Unfinished {
    /// From the first wait to the end, so that a client that sends a byte at a time does not become younger.
    idling: Option<Idling>,
}

impl Unfinished {
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
            let idling = self.idling.get_or_insert_with(|| listener_state.idle(handle));
            if idling.must_make_room() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::QuotaExceeded, MADE_ROOM)));
            }
            Poll::Pending
        })
        .await
    }
}
