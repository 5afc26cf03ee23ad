//! Connections of ours to targets, as their users see them.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;

use super::driver::{Driver, Timeouts};
use super::shared::Shared;
use super::space::WorkerSpace;
use super::stream::{NOT_OPEN, Stream};
use crate::http::HeadLimits;
use crate::http2::Limits;
use crate::tls;

/// Streams that are opened at once on a connection. Targets may allow fewer.
const STREAMS_MAX: u32 = 100;

/// Limits on heads of responses; HTTP/1.1 has the same.
const HEAD_LIMITS: HeadLimits = HeadLimits { bytes: 128 * 1024, fields: 256, target: 0 };

/// A connection of HTTP/2 to a target, on which streams can be opened. A task reads and writes it. It lives longer than
/// this value, until its streams have ended.
pub struct SharedConnection(Rc<Shared>);

impl SharedConnection {
    /// Begins to speak HTTP/2 over a connection, and waits until the target speaks it too. So no request is sent to a
    /// target that does not, or that allows fewer streams than there are.
    ///
    /// # Errors
    /// The target closes, or does not speak HTTP/2.
    pub async fn new(io: tls::Stream, timeouts: Timeouts, space: &Rc<WorkerSpace>) -> io::Result<Self> {
        let limits = Limits { streams: STREAMS_MAX, head: HEAD_LIMITS, extended_connect: false };
        let mut driver = Driver::client(io, &limits, timeouts, space);
        let connection = SharedConnection(driver.shared());
        let worker = connection.0.worker.clone();
        worker.spawn(poll_fn(move |cx| driver.poll(cx))).detach();
        poll_fn(|cx| {
            let state = &mut *connection.0.state.borrow_mut();
            if let Some(fault) = &state.fault {
                let words = format!("the target does not speak HTTP/2: {fault}");
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, words)));
            }
            if state.is_lost {
                let words = "the target closed the connection before it spoke HTTP/2";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, words)));
            }
            if state.has_settings {
                return Poll::Ready(Ok(()));
            }
            state.opener = Some(cx.waker().clone());
            Poll::Pending
        })
        .await?;
        Ok(connection)
    }

    /// Streams that are open, or about to be opened.
    pub fn streams(&self) -> usize {
        let state = self.0.state.borrow();
        state.open + state.reserved
    }

    /// Whether no more streams can be opened, now and later.
    pub fn is_closing(&self) -> bool {
        let state = self.0.state.borrow();
        state.is_lost || !state.engine.takes_streams()
    }

    /// Whether a stream can be opened now.
    pub fn has_room(&self) -> bool {
        let state = self.0.state.borrow();
        !state.is_lost && state.engine.room() > state.reserved
    }

    /// A stream for one request, if there is room.
    pub fn stream(&self) -> Option<Stream> {
        self.has_room().then(|| {
            self.0.state.borrow_mut().reserved += 1;
            Stream::new(&self.0, NOT_OPEN)
        })
    }

    /// Opens no more streams, and closes the connection when its streams have ended.
    pub fn shut_down(&self) {
        let state = &mut *self.0.state.borrow_mut();
        state.engine.shut_down_at_once(&mut state.control);
        self.0.wake_driver();
    }
}
