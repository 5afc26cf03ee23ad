//! A request that is forwarded, and its response.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use super::attempts::Attempts;
use super::response::ResponseReader;
use super::response_head::Response;
use crate::config::plan::Proxy;
use crate::generation::{ListenerSnapshot, TunnelContext};
use crate::http::Framing;
use crate::proxy::client::{Client, Request, keeps_connection};
use crate::proxy::exchange::AfterExchange;
use crate::proxy::record::{ExchangeRecord, Failure};
use crate::proxy::transfer::{Body, ConcurrentUpload, Incoming, Transfer};
use crate::proxy::tunnel::Tunnel;
use crate::upstream::TargetConnection;
use crate::worker::{Buffer, Timer};

/// A request that is forwarded, and everything it has to do with on the client's side.
pub(in crate::proxy) struct Forwarding<'a, 'r> {
    pub(in crate::proxy) client: &'a mut Client,
    pub(in crate::proxy) snapshot: &'a Rc<ListenerSnapshot>,
    /// For what is awaited of the target; the client has its own.
    pub(in crate::proxy) timer: &'a Timer,
    pub(in crate::proxy) record: &'a mut ExchangeRecord<'r>,
    pub(in crate::proxy) request: &'a Request,
    pub(in crate::proxy) body: &'a mut Body,
    pub(in crate::proxy) proxy: &'a Proxy,
}

/// What is left to know when both messages have passed.
struct Done {
    status: u16,
    /// What the head said of the client's connection: that it stays.
    keep: bool,
    until_close: bool,
    /// All of the request went out.
    uploaded: bool,
    /// How long the target would keep the link, if at all.
    keep_alive: Option<Duration>,
}

impl Forwarding<'_, '_> {
    /// Sends the request to a target and its response to the client, on as many links as it takes and
    /// as may be tried.
    pub(in crate::proxy) async fn forward(
        mut self,
        mut attempts: Attempts,
    ) -> Result<AfterExchange, Failure> {
        loop {
            let mut target = match attempts.take_idle(self.snapshot, self.request, self.proxy) {
                Some(target) => target,
                // Boxed, so that the handshakes of the few do not make the futures of all large.
                None => {
                    let opening = attempts.open(self.snapshot, self.request, self.proxy);
                    Box::pin(self.client.unless_gone(opening)).await?
                }
            };
            let head = attempts.head(self.client, self.snapshot, self.request, self.proxy)?;
            self.record.target = Some(target.address);
            if self.request.framing != Framing::None {
                // From here on the request cannot be sent again.
                self.body.release(&mut self.client.input);
            }
            // An `await` alone would copy the future once more.
            let outcome = pin!(self.transfer(&mut target, head)).await;
            let failure = match outcome {
                Ok(done) => return Ok(self.finish(&attempts, target, done)),
                Err(failure) => failure,
            };
            if !target.reused || !self.may_repeat(&failure) {
                return Err(failure);
            }
            attempts.use_new_connection();
        }
    }

    /// The target closed an idle connection at the moment we used it: that was no answer, and not the
    /// client's fault (RFC 9112, section 9.3.1).
    fn may_repeat(&self, failure: &Failure) -> bool {
        failure.is_closed_without_response()
            && !self.record.response_started.get()
            && self.request.is_repeatable()
    }

    /// What is to become of both connections once both messages have passed.
    fn finish(&mut self, attempts: &Attempts, target: Box<TargetConnection>, done: Done) -> AfterExchange {
        self.body.release(&mut self.client.input);
        if done.until_close {
            self.client.stream.close_with_reset(false);
        }
        match done {
            Done { status: 101, .. } => return AfterExchange::Tunnel(self.tunnel(target)),
            // The target answered without wanting all of it; the link is in the middle of a request.
            Done { uploaded: false, .. } => {}
            Done { keep_alive: Some(time), .. } => {
                attempts.give_back(self.snapshot, self.proxy, target, time)
            }
            Done { keep_alive: None, .. } => {}
        }
        if done.keep { AfterExchange::KeepAlive } else { AfterExchange::Close }
    }

    /// Both messages at once: the request goes on while the response is awaited, and while it passes.
    async fn transfer(&mut self, target: &mut TargetConnection, mut head: Buffer) -> Result<Done, Failure> {
        let Self { client, snapshot, timer, record, request, body, proxy } = self;
        let worker = snapshot.worker();
        let mut upload = Transfer {
            worker,
            from: Incoming { stream: &client.stream, input: &mut client.input, body },
            to: &target.stream,
            timer: &client.timer,
            timeout: proxy.body_timeout,
            chunked: request.framing == Framing::Chunked,
            trailers: request.accepts_trailers,
            most: proxy.max_body,
            meter: &record.received,
            counts_reads: true,
            end_follows: false,
            begun: Cell::default(),
        };
        let sent = upload.send_short(&mut head);
        let uploading = pin!(matches!(sent, Ok(false)).then(|| upload.run(head)));
        let mut upload =
            ConcurrentUpload::new(&client.stream, uploading.as_pin_mut(), sent.is_err(), &record.received);

        let reader = ResponseReader {
            target: &target.stream,
            input: &mut target.input,
            client: &client.stream,
            request,
            record,
            timer,
            timeout: proxy.response_timeout,
        };
        let mut response = upload.run(pin!(reader.read_final())).await?;
        if response.until_close {
            client.stream.close_with_reset(true);
        }
        // What the head says is kept: all that speaks against another request is asked here, and nothing later.
        let ends_soon = upload.is_complete() || request.ends_soon(record.received.bytes());
        let keep = !response.until_close && keeps_connection(&client.handle, request, ends_soon);
        response.end_head(request, keep);

        let Response { status, until_close, keep_alive, .. } = response;
        let mut response_body = Body::new(response.framing, 0);
        let mut download = Transfer {
            worker,
            from: Incoming { stream: &target.stream, input: &mut target.input, body: &mut response_body },
            to: &client.stream,
            timer,
            timeout: proxy.body_timeout,
            chunked: response.chunked,
            trailers: request.accepts_trailers,
            most: None,
            meter: &record.sent,
            counts_reads: false,
            // Of a request with a body there may be more to read first, and after 101 there is more to write.
            end_follows: !keep && request.framing == Framing::None && status != 101,
            begun: Cell::default(),
        };
        // Should this be dropped before the end, the books say what was on its way.
        record.status = Some(status);
        let downloaded = match download.send_short(&mut response.head) {
            Ok(true) => Ok(()),
            Ok(false) => upload.run(pin!(download.run_as_response(response.head))).await,
            Err(error) => Err(Failure::of_client(error)),
        };
        // A body that was bad before the head went out: then the client can still be told.
        record.status = download.begun.get().then_some(status);
        downloaded?;
        let uploaded = upload.end(&target.stream, until_close)?;
        Ok(Done { status, keep, until_close, uploaded, keep_alive })
    }

    /// After 101: what is to go on when the exchange, and all it holds, is over.
    fn tunnel(&mut self, target: Box<TargetConnection>) -> Box<Tunnel> {
        let context = TunnelContext::new(self.snapshot, self.request.rule);
        let start = self.record.tunnel_start(101);
        Box::new(Tunnel { context, target, timeout: self.proxy.tunnel_timeout, start })
    }
}
