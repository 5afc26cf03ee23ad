//! Bodies that stand in the place of those of targets.

use std::io::IoSlice;

use futures_lite::future::poll_once;

use super::encoded::EncodedBody;
use super::transfer::Transfer;
use super::write::write_message;
use crate::encoding::Encoder;
use crate::http1::BodyError;
use crate::proxy::record::{Failure, TransferError};
use crate::worker::Buffer;

/// A body that stands in the place of a target's.
pub(in crate::proxy) enum NewBody {
    /// The body of the target, encoded.
    Encoded(Encoder),
    /// A page. The body of the target is not sent.
    Page(Box<[u8]>),
}

/// Bytes of a body that are read and discarded at most to use the connection of a target again.
pub(in crate::proxy) const DISCARDED_MAX: usize = 64 * 1024;

impl Transfer<'_> {
    /// Runs as the download of a response.
    ///
    /// # Errors
    /// Those of [`run`](Self::run), as failures of a response.
    pub(in crate::proxy) async fn run_as_response(
        &mut self,
        head: Buffer,
        new_body: Option<Box<NewBody>>,
    ) -> Result<(), Failure> {
        let sent = match new_body {
            None => self.run(head).await,
            // Boxed, because few responses have one, and the future of all would have room for it.
            Some(new_body) => Box::pin(self.run_with(head, *new_body)).await,
        };
        sent.map_err(Failure::of_download)
    }

    /// As [`run`](Self::run), with another body than that of the target.
    ///
    /// # Errors
    /// The first error of either side.
    async fn run_with(&mut self, head: Buffer, body: NewBody) -> Result<(), TransferError> {
        match body {
            NewBody::Encoded(encoder) => self.run_encoded(head, encoder).await,
            NewBody::Page(page) => self.run_page(&head, &page).await,
        }
    }

    /// Sends a page, and then discards the body of the target if that is short.
    async fn run_page(&mut self, head: &Buffer, page: &[u8]) -> Result<(), TransferError> {
        let slices = &mut [IoSlice::new(head.unread()), IoSlice::new(page)];
        self.begun.set(true);
        let written = write_message(self.to, slices, self.end_follows, self.timer, self.timeout).await;
        written.map_err(TransferError::Write)?;
        self.meter.add(head.unread().len() + page.len(), self.worker.moment());
        if !self.from.body.is_short(DISCARDED_MAX) {
            return Ok(());
        }
        match self.timer.within(self.timeout, self.from.discard()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(TransferError::Body(BodyError::Truncated)),
            Err(error) => Err(TransferError::Read(error)),
        }
    }

    /// Sends the body through an encoder. The client gets everything that has come before more is awaited.
    async fn run_encoded(&mut self, head: Buffer, encoder: Encoder) -> Result<(), TransferError> {
        let Self { worker, from, to, timer, timeout, meter, begun, pace, .. } = self;
        let encoded = EncodedBody::new((worker, to, timer), *timeout, meter, encoder, head);
        let mut encoded = encoded.at_pace(*pace);
        loop {
            let piece = from.decode().map_err(TransferError::Body)?;
            encoded.add(from.data(&piece), begun).await?;
            from.release();
            if !piece.is_last {
                let read = match poll_once(from.read()).await {
                    Some(read) => read,
                    None => {
                        encoded.flush(begun).await?;
                        timer.within(*timeout, from.read()).await
                    }
                };
                read.map_err(TransferError::Read)?.map_err(TransferError::Body)?;
            }
            if from.body.is_complete() {
                let trailers = if self.trailers { from.body.trailers() } else { &[] };
                return encoded.end(trailers, self.end_follows, begun).await;
            }
        }
    }
}
