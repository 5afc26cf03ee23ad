//! The wait for the response of a target.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use super::response_head::{Response, keep_alive_time, write_head};
use crate::config::plan::Proxy;
use crate::http::{Framing, HeadLimits, Version};
use crate::http1::{HeadScan, parse_response};
use crate::proxy::client::{KeepAlive, Request};
use crate::proxy::record::{ExchangeRecord, Failure};
use crate::proxy::transfer::{Body, Incoming, Transfer, write_all};
use crate::reason::Reason;
use crate::tls::{Input, Stream};
use crate::worker::Timer;

/// Limits on the head of a response: more generous than on requests, targets are ours.
const HEAD_LIMITS: HeadLimits = HeadLimits { bytes: 128 * 1024, fields: 256, target: 0 };

/// Interim responses (1xx) forwarded for one request.
const INTERIM_MAX: u32 = 16;

/// The wait for a response.
pub(super) struct ResponseReader<'a> {
    /// Who answers.
    pub(super) target: &'a Stream,
    /// What was read of the answer.
    pub(super) input: &'a mut Input,
    /// Who gets interim responses.
    pub(super) client: &'a Stream,
    /// What is answered.
    pub(super) request: &'a Request,
    /// Notes that the target was heard, and what the client was sent.
    pub(super) record: &'a ExchangeRecord<'a>,
    pub(super) timer: &'a Timer,
    pub(super) proxy: &'a Proxy,
}

impl ResponseReader<'_> {
    /// Reads heads until the final one, and sends interim ones on.
    ///
    /// # Errors
    /// When the target closes, is silent for too long, sends no valid head, or no end of interim
    /// responses; when the client does not take one.
    pub(super) async fn read_final(&mut self) -> Result<Response, Failure> {
        let (mut scan, mut interim) = (HeadScan::default(), 0);
        while interim <= INTERIM_MAX {
            if let Some(response) = self.parse(&mut scan)? {
                self.record.response_started.set(true);
                if !response.is_interim() {
                    return Ok(response);
                }
                interim += 1;
                if self.request.version == Version::Http11 {
                    self.forward_interim(&response).await?;
                }
                continue;
            }
            match (self.fill().await, self.input.is_empty()) {
                (Ok(0), true) => return Err(Failure::of_target(io::ErrorKind::UnexpectedEof.into())),
                (Err(error), true) => return Err(Failure::of_target(error)),
                (Ok(0), false) => return Err(Failure::new(Reason::ResponseTruncated)),
                (Err(error), false) => return Err(Failure::inside_response(error)),
                (Ok(_), _) => {}
            }
        }
        Err(Failure::new(Reason::ResponseMalformed))
    }

    /// Reads more of a head.
    async fn fill(&mut self) -> io::Result<usize> {
        let (worker, timer) = (self.record.snapshot.worker(), self.timer);
        // It counts from the end of the request: an upload may take its time.
        let timeout = self.proxy.response_timeout;
        let (record, request, began) = (self.record, self.request, worker.now());
        // One byte more than the limit, so that the parser sees that it is over.
        let mut fill = pin!(self.input.fill(self.target, HEAD_LIMITS.bytes + 1));
        let mut counted = None;
        let filled = poll_fn(|cx| {
            if let Poll::Ready(filled) = fill.as_mut().poll(cx) {
                return Poll::Ready(filled);
            }
            let Some(since) = is_waited_for_since(record, request, began) else { return Poll::Pending };
            if counted.replace(since) != Some(since) {
                timer.arm(timeout.saturating_sub(worker.now().saturating_duration_since(since)));
            }
            timer.poll_expired(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
        })
        .await;
        if counted.is_some() {
            timer.disarm();
        }
        filled
    }

    /// Parses what is there and writes the head for the client. `None`: the head is not complete.
    fn parse(&mut self, scan: &mut HeadScan) -> Result<Option<Response>, Failure> {
        if self.input.is_empty() {
            return Ok(None);
        }
        let (snapshot, request) = (self.record.snapshot, self.request);
        let mut table = snapshot.state.table.borrow_mut();
        let Some(head) = parse_response(self.input.unread(), scan, &HEAD_LIMITS, &mut table)? else {
            return Ok(None);
        };
        if head.status == 101 && !(request.upgrade && head.upgrade) {
            return Err(Failure::new(Reason::UpgradeFailed));
        }
        let framing = head.framing(request.method);
        let endless = matches!(framing, Framing::Chunked | Framing::UntilClose);
        let chunked = endless && request.version == Version::Http11;
        let mut response = Response {
            status: head.status,
            framing,
            chunked,
            until_close: endless && !chunked,
            keep_alive: head.keep_alive.then(|| keep_alive_time(&head)),
            head: snapshot.worker().buffer(),
        };
        write_head(&head, &response.flags(request), snapshot, &mut response.head);
        let len = head.len;
        drop(table);
        self.input.consume(len);
        Ok(Some(response))
    }

    /// The way of the final response to the client. `body` is its body, of which nothing was read yet; `keep` is what
    /// its head says of the client's connection.
    pub(super) fn download<'t>(
        &'t mut self,
        response: &Response,
        body: &'t mut Body,
        keep: KeepAlive,
    ) -> Transfer<'t> {
        Transfer {
            worker: self.record.snapshot.worker(),
            from: Incoming { stream: self.target, input: self.input, body },
            to: self.client,
            timer: self.timer,
            timeout: self.proxy.body_timeout,
            chunked: response.chunked,
            trailers: self.request.accepts_trailers,
            most: None,
            meter: &self.record.sent,
            counts_reads: false,
            // Of a request with a body there may be more to read first, and after 101 there is more to write.
            end_follows: keep == KeepAlive::Close
                && self.request.framing == Framing::None
                && response.status != 101,
            begun: Cell::default(),
        }
    }

    /// Sends an interim response on.
    async fn forward_interim(&self, response: &Response) -> Result<(), Failure> {
        let head = response.head.unread();
        let timeout = self.proxy.response_timeout;
        let written = write_all(self.client, &mut [IoSlice::new(head)], self.timer, timeout).await;
        written.map_err(Failure::of_client)?;
        self.record.sent.add(head.len(), self.record.snapshot.worker().now());
        Ok(())
    }
}

/// Since when it is the target that is waited for. While the request goes on it is the client, whose deadline
/// the upload has; unless the client waits for leave to send a body (RFC 9110, section 10.1.1).
fn is_waited_for_since(record: &ExchangeRecord<'_>, request: &Request, began: Instant) -> Option<Instant> {
    let waits_for_leave =
        request.expects && !record.response_started.get() && record.received.last() <= began;
    record.received.ended().or(waits_for_leave.then_some(began)).map(|since| since.max(began))
}
