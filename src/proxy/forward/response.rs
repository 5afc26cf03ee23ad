//! The wait for the response of a target, and the way of its body to the client.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::pin;
use std::task::{Poll, ready};
use std::time::Duration;

use super::response_head::{Response, keep_alive_time, write_cookie, write_head};
use crate::config::plan::Proxy;
use crate::http::{Framing, HeadLimits, Version};
use crate::http1::{HeadScan, parse_response};
use crate::mux::Transport;
use crate::proxy::client::{KeepAlive, Request};
use crate::proxy::edits::{edited_response, encode_response, intercept};
use crate::proxy::plugins::change_response;
use crate::proxy::record::{ExchangeRecord, Failure};
use crate::proxy::transfer::{Body, DISCARDED_MAX, Incoming, NewBody, Transfer, write_all};
use crate::reason::Reason;
use crate::tls::Input;
use crate::worker::{Moment, Timer};

/// Limits on the head of a response. They are more generous than those on requests, because targets are trusted more.
const HEAD_LIMITS: HeadLimits = HeadLimits { bytes: 128 * 1024, fields: 256, target: 0 };

/// Interim responses (1xx) that are forwarded for one request at most.
const INTERIM_MAX: u32 = 16;

/// Reads the response of a target.
pub(super) struct ResponseReader<'a> {
    /// The connection of the target.
    pub(super) target: &'a Transport,
    /// Bytes that were read from the target.
    pub(super) input: &'a mut Input,
    /// The connection of the client.
    pub(super) client: &'a Transport,
    /// The request that the target answers.
    pub(super) request: &'a Request,
    /// Records that the response has begun, and the bytes that the client was sent.
    pub(super) record: &'a ExchangeRecord<'a>,
    /// The timer for waits for the target.
    pub(super) timer: &'a Timer,
    pub(super) proxy: &'a Proxy,
    /// The line of a cookie that the final response gets, without its end.
    pub(super) cookie: Option<&'a [u8]>,
}

impl ResponseReader<'_> {
    /// Reads heads until the final one, and writes it. Forwards interim responses. The caller has the place of the
    /// response, because it is large and would be copied at each return.
    ///
    /// # Errors
    /// When the target closes, is silent for too long, or sends a head that is not valid, or too many interim
    /// responses. When the client does not take an interim response.
    pub(super) async fn read_final(&mut self, response: &mut Option<Response>) -> Result<(), Failure> {
        let (mut scan, mut interim) = (HeadScan::default(), 0);
        while interim <= INTERIM_MAX {
            self.parse(&mut scan, response)?;
            if let Some(some) = response {
                self.record.response_started.set(true);
                if !some.is_interim() {
                    if self.record.plugins.is_some() {
                        // Boxed, because few rules have plugins.
                        Box::pin(change_response(self.record, &mut some.status, &mut some.head)).await?;
                    }
                    return Ok(());
                }
                interim += 1;
                if self.request.version != Version::Http10 {
                    self.forward_interim(some).await?;
                }
                *response = None;
                continue;
            }
            match (self.fill().await, self.input.is_empty()) {
                (Ok(0), true) => return Err(Failure::of_target(io::ErrorKind::UnexpectedEof.into())),
                (Err(error), true) => return Err(Failure::of_awaited(error)),
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
        // The timeout begins when the request was sent: an upload may take long.
        let timeout = self.proxy.limits.response_timeout;
        let (record, request, client, began) = (self.record, self.request, self.client, worker.moment());
        // One byte more than the limit, so that the parser sees that the head is too long.
        let mut fill = pin!(self.input.fill(self.target, HEAD_LIMITS.bytes + 1));
        let mut counted = None;
        let filled = poll_fn(|cx| {
            if let Poll::Ready(filled) = fill.as_mut().poll(cx) {
                return Poll::Ready(filled);
            }
            let Some(since) = waits_for_target_since(record, request, began) else { return Poll::Pending };
            if counted.replace(since) != Some(since) {
                timer.arm(timeout.saturating_sub(worker.moment() - since));
            }
            ready!(timer.poll_expired(cx));
            let late = || Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            match client.patience().map(|patience| patience.saturating_sub(worker.moment() - since)) {
                None | Some(Duration::ZERO) => late(),
                Some(more) => {
                    timer.arm(more);
                    timer.poll_expired(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
                }
            }
        })
        .await;
        if counted.is_some() {
            timer.disarm();
        }
        filled
    }

    /// Parses the bytes that are here and writes the `response`, with the head for the client. It stays `None` if the
    /// head is not complete.
    #[inline(always)]
    fn parse(&mut self, scan: &mut HeadScan, response: &mut Option<Response>) -> Result<(), Failure> {
        if self.input.is_empty() {
            return Ok(());
        }
        let (snapshot, request) = (self.record.snapshot, self.request);
        let mut table = snapshot.state.table.borrow_mut();
        let Some(head) = parse_response(self.input.unread(), scan, &HEAD_LIMITS, &mut table)? else {
            return Ok(());
        };
        if !request.accepts(&head) {
            return Err(Failure::new(Reason::UpgradeFailed));
        }
        let Some(framing) = head.framing(request.method) else {
            return Err(Failure::new(Reason::ResponseMalformed));
        };
        let endless = matches!(framing, Framing::Chunked | Framing::UntilClose);
        let chunked = endless && request.version == Version::Http11;
        let response = response.insert(Response {
            status: head.status,
            framing,
            chunked,
            until_close: endless && request.version == Version::Http10,
            keep_alive: head.keep_alive.then(|| keep_alive_time(&head)),
            head: snapshot.worker().buffer(),
            new_body: None,
        });
        write_head(
            &head,
            &response.flags(request, self.record.policies.owns_cors()),
            snapshot,
            &mut response.head,
        );
        // After 101 the head has its end already.
        if let Some(cookie) = self.cookie.filter(|_| head.status >= 200) {
            write_cookie(cookie, self.client.is_encrypted(), &mut response.head);
        }
        let len = head.len;
        if self.record.policies.is_active() || self.record.headers.is_begun() {
            self.change(response);
        }
        drop(table);
        self.input.consume(len);
        Ok(())
    }

    /// Makes the changes of the rule and its policies.
    #[cold]
    fn change(&self, response: &mut Response) {
        let (record, request) = (self.record, self.request);
        if response.status >= 200 {
            response.head.extend(record.policies.response_lines());
        }
        let page = record.policies.watched().and_then(|_| self.intercept(response));
        if let Some(headers) = record.rule_headers().filter(|_| !response.is_interim()) {
            let is_encrypted = self.client.is_encrypted();
            response.head = edited_response(record, &response.head, headers, is_encrypted);
        }
        if let Some(page) = page {
            response.new_body = Some(Box::new(NewBody::Page(page)));
        } else if let Some((encoder, _)) = encode_response(record, request, &mut response.head, None) {
            response.new_body = Some(Box::new(NewBody::Encoded(encoder)));
        }
    }

    /// The page that stands in for the response. If the body of the target is long, its connection is not used again.
    fn intercept(&self, response: &mut Response) -> Option<Box<[u8]>> {
        let page = intercept(self.record, self.request, response.status, &mut response.head)?;
        (response.chunked, response.until_close) = (false, false);
        response.keep_alive =
            response.keep_alive.filter(|_| Body::new(response.framing, 0).is_short(DISCARDED_MAX));
        Some(page)
    }

    /// The transfer of the final response to the client. `body` is its body, of which nothing was read yet. `keep` is
    /// whether the client's connection stays open, as its head says.
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
            timeout: self.proxy.limits.body_timeout,
            chunked: response.chunked,
            trailers: self.request.accepts_trailers,
            most: u64::MAX,
            pace: self.record.policies.download(),
            meter: &self.record.sent,
            counts_reads: false,
            // Before the close, the rest of a request's body may have to be read. After 101 more bytes follow.
            end_follows: keep == KeepAlive::Close
                && self.request.framing == Framing::None
                && response.status != 101,
            begun: Cell::default(),
        }
    }

    /// Forwards an interim response.
    async fn forward_interim(&self, response: &Response) -> Result<(), Failure> {
        let head = response.head.unread();
        let timeout = self.proxy.limits.response_timeout;
        let written = write_all(self.client, &mut [IoSlice::new(head)], self.timer, timeout).await;
        written.map_err(Failure::of_client)?;
        self.record.sent.add(head.len(), self.record.snapshot.worker().moment());
        Ok(())
    }
}

/// Since when smolgate waits for the target. While the request is being sent it waits for the client instead, with
/// the timeout of the upload. But a client may wait for `100 Continue` itself (RFC 9110, section 10.1.1).
fn waits_for_target_since(record: &ExchangeRecord<'_>, request: &Request, began: Moment) -> Option<Moment> {
    let waits_for_continue =
        request.expects && !record.response_started.get() && record.received.last() <= began;
    record.received.ended().or(waits_for_continue.then_some(began)).map(|since| since.max(began))
}
