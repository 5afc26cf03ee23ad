//! The exchange, which every phase is given.

use super::client::Client;
use super::keep_alive::KeepAlive;
use super::request::{Media, Request};
use crate::config::plan::ClientGone;
use crate::generation::ListenerSnapshot;
use crate::http::Framing;
use crate::http1::PartialHead;
use crate::proxy::record::{ExchangeRecord, Failure};
use crate::proxy::transfer::Body;
use crate::worker::{Buffer, SMALL_BUFFER_BYTES, Timer};

/// One request and its response, on the client's side.
pub(in crate::proxy) struct Exchange<'a> {
    pub(in crate::proxy) client: &'a mut Client,
    pub(in crate::proxy) snapshot: &'a ListenerSnapshot,
    /// The timer for waits for the target. Waits for the client use [`Client::timer`].
    pub(in crate::proxy) timer: &'a Timer,
    pub(in crate::proxy) record: ExchangeRecord<'a>,
    /// The request; before its head is read, and if its head is refused, [`Request::unknown`].
    pub(in crate::proxy) request: Request,
    /// How much of the request's body was read. The end of the body of a refused head is not known.
    pub(in crate::proxy) body: Body,
    /// The beginning of the head, once it is no longer in the input.
    head: Option<Buffer>,
}

impl<'a> Exchange<'a> {
    pub(in crate::proxy) fn new(
        client: &'a mut Client,
        snapshot: &'a ListenerSnapshot,
        timer: &'a Timer,
    ) -> Self {
        let record = ExchangeRecord::new(snapshot, client.peer, &client.stream);
        let body = Body::new(Framing::UntilClose, 0);
        Self { client, snapshot, timer, record, request: Request::unknown(), body, head: None }
    }

    /// Records the parts of a head that is refused.
    pub(in crate::proxy) fn learn_partial_head(&mut self) {
        let bytes = self.client.input.unread();
        self.record.learn_part(bytes);
        self.request.prefers = Media::preferred(&PartialHead::of(bytes).list(b"accept"));
    }

    /// Removes the head from the input, and what was read of the body. From now on the request cannot be sent again.
    /// The first bytes of the head stay, for a line in the log.
    pub(in crate::proxy) fn release_head(&mut self) {
        if self.head.is_some() {
            return;
        }
        let head = self.client.input.unread();
        let mut copy = self.snapshot.worker().buffer();
        copy.extend(&head[..head.len().min(self.request.len).min(SMALL_BUFFER_BYTES)]);
        self.head = Some(copy);
        self.body.release(&mut self.client.input);
    }

    /// Records a failure.
    pub(in crate::proxy) fn fail(&mut self, failure: &Failure) {
        let head = self.head.as_ref().map_or_else(|| self.client.input.unread(), Buffer::unread);
        self.record.fail(failure, head);
    }

    /// Decides for a response that is written when only the head of the request was read.
    pub(in crate::proxy) fn keep_alive(&self) -> KeepAlive {
        let ends_soon = self.request.ends_soon(self.request.len as u64);
        KeepAlive::after(&self.request, ends_soon, &self.client.handle)
    }

    /// Whether a client that has ended its side is gone.
    pub(in crate::proxy) fn is_gone_at_end(&self) -> bool {
        self.snapshot.http().is_some_and(|http| http.client_gone == ClientGone::Fin)
    }

    /// Counts and logs an exchange that did not become a tunnel.
    pub(in crate::proxy) fn finish(&mut self) {
        self.record.finish();
        self.client.handle.was_answered(self.record.sent.bytes(), self.snapshot.worker().now());
    }
}
