//! An upload that goes on while the response is awaited and transferred.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::Poll;

use crate::mux::Transport;
use crate::proxy::record::{Failure, Meter, TransferError};
use crate::reason::Reason;

/// An upload that goes on while another future is awaited.
pub(in crate::proxy) struct ConcurrentUpload<'a, F> {
    future: Option<F>,
    /// The client that sends. When it is gone, nothing is awaited any more.
    client: &'a Transport,
    /// A client that has ended its side is gone.
    at_end: bool,
    /// Writing to the target failed. The target may have answered before that.
    failed: bool,
    /// Records when the upload has ended.
    meter: &'a Meter<'a>,
}

impl<'a, F: Future<Output = Result<(), TransferError>>> ConcurrentUpload<'a, Pin<&mut F>> {
    /// Without a `future` the upload has ended already: `failed` says how.
    pub(in crate::proxy) fn new(
        (client, at_end): (&'a Transport, bool),
        future: Option<Pin<&'a mut F>>,
        failed: bool,
        meter: &'a Meter<'a>,
    ) -> ConcurrentUpload<'a, Pin<&'a mut F>> {
        meter.set_ended(future.is_none().then(|| client.worker().moment()));
        ConcurrentUpload { future, client, at_end, failed, meter }
    }

    /// Whether all of the request was sent.
    pub(in crate::proxy) fn is_complete(&self) -> bool {
        self.future.is_none() && !self.failed
    }

    /// Runs the upload alone, to its end.
    ///
    /// # Errors
    /// When the request cannot be sent.
    pub(in crate::proxy) async fn complete(&mut self) -> Result<(), Failure> {
        let sent = match &mut self.future {
            Some(upload) => upload.as_mut().await,
            None if self.failed => Err(TransferError::Write(io::ErrorKind::ConnectionReset.into())),
            None => Ok(()),
        };
        self.future = None;
        sent.map_err(Failure::of_upload)
    }

    /// Marks the messages that ended on both connections, once the response of `target` has ended. Returns whether
    /// the upload is complete.
    ///
    /// # Errors
    /// When a response that ends with the connection may have ended with a reset instead. The kernel reports a reset
    /// once, and here it reported it to the upload. TLS tells an end from a reset.
    pub(in crate::proxy) fn end<'t>(
        &self,
        target: &Transport,
        until_close: bool,
        trailers: impl FnOnce() -> &'t [u8],
    ) -> Result<bool, Failure> {
        if until_close && self.failed && !target.is_encrypted() {
            return Err(Failure::new(Reason::ResponseTruncated));
        }
        self.client.message_ended_with(trailers);
        if self.is_complete() {
            target.message_ended();
        }
        Ok(self.is_complete())
    }

    /// Runs `main` to its end, and the upload as far as it gets meanwhile. The caller pins `main`: moved in here, its
    /// 2 KB would be stored twice and copied for each request.
    ///
    /// # Errors
    /// Errors of `main`. Errors of the upload that come from the client: it is gone, or its request must not go on.
    /// `ClientGone` if the client is gone.
    pub(in crate::proxy) async fn run<T>(
        &mut self,
        mut main: Pin<&mut impl Future<Output = Result<T, Failure>>>,
    ) -> Result<T, Failure> {
        poll_fn(|cx| {
            if let Some(upload) = &mut self.future
                && let Poll::Ready(result) = upload.as_mut().poll(cx)
            {
                self.future = None;
                self.meter.set_ended(Some(self.client.worker().moment()));
                match result {
                    Ok(()) => {}
                    Err(TransferError::Write(_)) => self.failed = true,
                    Err(broken) => return Poll::Ready(Err(Failure::of_upload(broken))),
                }
            }
            // As long as the client sends, the upload notices its end.
            let at_end = self.at_end && self.future.is_none();
            match main.as_mut().poll(cx) {
                Poll::Pending if self.client.poll_gone(cx, at_end).is_ready() => {
                    Poll::Ready(Err(Failure::new(Reason::ClientGone)))
                }
                result => result,
            }
        })
        .await
    }
}
