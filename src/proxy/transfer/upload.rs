//! An upload beside what is awaited.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use crate::proxy::record::{Failure, Meter, TransferError};
use crate::reason::Reason;
use crate::tls::Stream;

/// An upload that goes on while something else is awaited.
pub(in crate::proxy) struct ConcurrentUpload<'a, F> {
    future: Option<F>,
    /// Whose upload it is: when he is gone, nothing is awaited any more.
    client: &'a Stream,
    /// How it failed, when that was the target's doing: the target may have answered all the same.
    failed: bool,
    /// Learns when the upload has ended.
    meter: &'a Meter<'a>,
}

impl<'a, F: Future<Output = Result<(), TransferError>>> ConcurrentUpload<'a, Pin<&mut F>> {
    /// No `future`: the upload has ended already, and how is known.
    pub(in crate::proxy) fn new(
        client: &'a Stream,
        future: Option<Pin<&'a mut F>>,
        failed: bool,
        meter: &'a Meter<'a>,
    ) -> ConcurrentUpload<'a, Pin<&'a mut F>> {
        meter.set_ended(future.is_none().then(|| client.worker().now()));
        ConcurrentUpload { future, client, failed, meter }
    }

    /// Whether it ended well.
    pub(in crate::proxy) fn is_complete(&self) -> bool {
        self.future.is_none() && !self.failed
    }

    /// Notes on both connections which messages ended, once the response of `target` has; whether the upload
    /// did.
    ///
    /// # Errors
    /// When the response seems to have ended with the connection, and that was reset: the kernel tells of a
    /// reset once, and the upload was told. Of TLS an end is an end.
    pub(in crate::proxy) fn end(&self, target: &Stream, until_close: bool) -> Result<bool, Failure> {
        if until_close && self.failed && !target.is_encrypted() {
            return Err(Failure::new(Reason::ResponseTruncated));
        }
        self.client.message_ended();
        if self.is_complete() {
            target.message_ended();
        }
        Ok(self.is_complete())
    }

    /// Runs `main` to its end, and the upload as far as it gets meanwhile. `main` is pinned by the
    /// caller: moved in here it would be stored twice and copied for each request (2 KB of them).
    ///
    /// # Errors
    /// The upload's, when it is the client's doing: then there is nobody to answer to, or a request
    /// that must not go on. `ClientGone` when the client reset its connection.
    pub(in crate::proxy) async fn run<T>(
        &mut self,
        mut main: Pin<&mut impl Future<Output = Result<T, Failure>>>,
    ) -> Result<T, Failure> {
        poll_fn(|cx| {
            if let Some(upload) = &mut self.future
                && let Poll::Ready(result) = upload.as_mut().poll(cx)
            {
                self.future = None;
                self.meter.set_ended(Some(self.client.worker().now()));
                match result {
                    Ok(()) => {}
                    Err(TransferError::Write(_)) => self.failed = true,
                    Err(broken) => return Poll::Ready(Err(Failure::of_upload(broken))),
                }
            }
            match main.as_mut().poll(cx) {
                Poll::Pending if self.client.poll_closed(cx).is_ready() => {
                    Poll::Ready(Err(Failure::new(Reason::ClientGone)))
                }
                result => result,
            }
        })
        .await
    }
}
