//! From the head of a target's response to the head the client gets.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::fields::write_length;
use super::hops;
use super::record::ExchangeRecord;
use super::record::Failure;
use super::request::Request;
use super::transfer::write_all;
use crate::generation::ListenerSnapshot;
use crate::http::{Field, Framing, HeadLimits, Name, ResponseHead, Version};
use crate::http1::{HeadScan, parse_response};
use crate::reason::Reason;
use crate::tls::{Input, Stream};
use crate::worker::{Buffer, Timer};

/// Limits on the head of a response: more generous than on requests, targets are ours.
const HEAD_LIMITS: HeadLimits = HeadLimits { bytes: 128 * 1024, fields: 256, target: 0 };

/// Interim responses (1xx) forwarded for one request.
const INTERIM_MAX: u32 = 16;

/// What is known of a response once its head is no longer looked at.
pub(super) struct Response {
    pub(super) status: u16,
    /// How the target ends the body.
    pub(super) framing: Framing,
    /// The body goes to the client in chunks.
    pub(super) chunked: bool,
    /// The body ends for the client with the connection.
    pub(super) until_close: bool,
    /// How long the target would keep the connection, if at all.
    pub(super) keep_alive: Option<Duration>,
    /// The head for the client; a final one is without its end until [`Response::end_head`].
    pub(super) head: Buffer,
}

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
    /// Counted from the end of the request: an upload may take its time.
    pub(super) timeout: Duration,
}

impl ResponseReader<'_> {
    /// Reads heads until the final one, and sends interim ones on.
    ///
    /// # Errors
    /// When the target closes, is silent for too long, sends no valid head, or no end of interim
    /// responses; when the client does not take one.
    pub(super) async fn read_final(mut self) -> Result<Response, Failure> {
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
        let (worker, timer, timeout) = (self.record.snapshot.worker(), self.timer, self.timeout);
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
                timer.arm((since + timeout).saturating_duration_since(worker.now()));
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

    /// Sends an interim response on.
    async fn forward_interim(&self, response: &Response) -> Result<(), Failure> {
        let head = response.head.unread();
        let written = write_all(self.client, &mut [IoSlice::new(head)], self.timer, self.timeout).await;
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

/// What decides over our own fields.
struct HeadFlags {
    interim: bool,
    upgraded: bool,
    /// Not in 1xx and 204 (RFC 9110, section 8.6).
    may_have_length: bool,
    chunked: bool,
    trailers: bool,
}

impl Response {
    pub(super) fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    /// Ends the head: says whether the client's connection stays. That is asked when nothing comes between
    /// the answer and the head's way out, so that the answer is kept.
    pub(super) fn end_head(&mut self, request: &Request, keep: bool) {
        match (keep, request.version) {
            // The head of an upgrade is whole.
            _ if self.status == 101 => return,
            (false, _) => self.head.extend(b"Connection: close\r\n"),
            (true, Version::Http10) => self.head.extend(b"Connection: keep-alive\r\n"),
            (true, Version::Http11) => {}
        }
        self.head.extend(b"\r\n");
    }

    fn flags(&self, request: &Request) -> HeadFlags {
        HeadFlags {
            interim: self.is_interim(),
            upgraded: self.status == 101,
            may_have_length: self.status >= 200 && self.status != 204,
            chunked: self.chunked,
            trailers: self.chunked && request.accepts_trailers,
        }
    }
}

/// A target says how long it keeps a connection; a second less is safe.
fn keep_alive_time(head: &ResponseHead<'_>) -> Duration {
    head.keep_alive_timeout.map_or(Duration::MAX, |timeout| timeout.saturating_sub(Duration::from_secs(1)))
}

fn write_head(head: &ResponseHead<'_>, flags: &HeadFlags, snapshot: &ListenerSnapshot, out: &mut Buffer) {
    if head.line_of_ours == 0 {
        out.extend(b"HTTP/1.1 ");
        out.extend(&digits(head.status));
        out.extend(b" ");
        out.extend(head.phrase);
        out.extend(b"\r\n");
    }
    let keep = |field: &Field<'_>| is_for_the_client(field, head, flags);
    head.fields.for_each_run(head.line_of_ours, keep, |lines| out.extend(lines));
    out.extend(hops::via(head.version));
    if flags.upgraded {
        out.extend(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    } else if flags.interim {
        out.extend(b"\r\n");
    } else {
        if head.fields.get(Name::Date).is_none() {
            // RFC 9110, section 6.6.1: who forwards a response without one says when it came.
            snapshot.state.date.write(snapshot.worker(), out);
        }
        if flags.chunked {
            out.extend(b"Transfer-Encoding: chunked\r\n");
        }
        if let Some(length) = head.content_length.filter(|_| flags.may_have_length && !head.is_length_plain) {
            write_length(length, out);
        }
    }
}

fn is_for_the_client(field: &Field<'_>, head: &ResponseHead<'_>, flags: &HeadFlags) -> bool {
    match field.known() {
        Name::TransferEncoding => false,
        Name::ContentLength => flags.may_have_length && head.is_length_plain,
        Name::Trailer => flags.trailers,
        name => !name.is_hop_by_hop() && !field.is_named_by_connection(),
    }
}

fn digits(status: u16) -> [u8; 3] {
    [status / 100, status / 10 % 10, status % 10].map(|digit| b'0' + digit as u8)
}
