//! The life of a request, on one screen.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use super::attempts::Attempts;
use super::client::Client;
use super::local_reply;
use super::record::ExchangeRecord;
use super::record::Failure;
use super::request::{self, Act, IdleEnd, Request};
use super::response::{Response, ResponseReader};
use super::transfer::{Body, Incoming};
use super::transfer::{ConcurrentUpload, Transfer};
use super::tunnel::{self, Tunnel};
use crate::config::plan::Proxy;
use crate::generation::ListenerSnapshot;
use crate::generation::TunnelContext;
use crate::http::Framing;
use crate::reason::Reason;
use crate::upstream::TargetConnection;
use crate::worker::{Buffer, Timer};

/// How an exchange left the client's connection.
pub(super) enum AfterExchange {
    /// Another request may follow: the head of the answer has said so.
    KeepAlive,
    /// It ends here, and the client is to get all that was sent.
    Close,
    /// It ends here and at once: what was sent is no whole message and must not look like one, or nobody reads it.
    Cut,
    /// Bytes follow, and no requests.
    Tunnel(Box<Tunnel>),
}

/// How long a connection keeps the place of its exchanges for the next request, before it goes back
/// to waiting in little room: long enough for requests that follow each other.
const NEXT_REQUEST_WAIT: Duration = Duration::from_millis(20);

/// Serves requests as long as they follow each other. Gives the client back when it is silent.
pub(super) async fn serve_requests(mut client: Client) -> Option<Client> {
    let timer = client.listener_state.snapshot().worker().timer();
    loop {
        let snapshot = client.listener_state.snapshot();
        // Of a head that is refused it is not known where its body would end.
        let mut body = Body::new(Framing::UntilClose, 0);
        let end = exchange(&mut client, &snapshot, &timer, &mut body).await;
        // A tunnel may take days, a body that the target did not want minutes: neither keeps a generation.
        drop(snapshot);
        match local_reply::finish_body(&mut client, &mut body, end).await {
            AfterExchange::KeepAlive => {}
            AfterExchange::Close | AfterExchange::Cut => return None,
            AfterExchange::Tunnel(tunnel) => {
                // Boxed, so that the tunnels of the few do not make the futures of all large.
                Box::pin(tunnel.run(&mut client)).await;
                return None;
            }
        }
        // Pipelined requests are here already.
        if client.input.is_empty() {
            match request::wait_for_request(&client, NEXT_REQUEST_WAIT).await {
                IdleEnd::Request => {}
                IdleEnd::Timeout => return Some(client),
                IdleEnd::Draining => return None,
            }
        }
    }
}

/// Serves one request. Says whether another may follow, once what `body` still lacks was read.
async fn exchange(
    client: &mut Client,
    snapshot: &Rc<ListenerSnapshot>,
    timer: &Timer,
    body: &mut Body,
) -> AfterExchange {
    let mut record = ExchangeRecord::new(snapshot, client.peer, &client.stream);
    let (request, act) = match request::read(client, snapshot, &mut record).await {
        Ok(Some(found)) => found,
        Ok(None) => return AfterExchange::Cut,
        Err(failure) => {
            record.learn_part(client.input.unread());
            let end = local_reply::fail(client, &mut record, None, failure).await;
            record.finish();
            client.handle.was_answered(record.sent.bytes(), snapshot.worker().now());
            return end;
        }
    };
    *body = Body::new(request.framing, request.len);
    let end = match act {
        Act::Forward { proxy, first_target, head } => {
            let (record, request) = (&mut record, &request);
            let forwarding = Forwarding { client, snapshot, timer, record, request, body, proxy };
            forwarding.forward(Attempts::new(first_target, head)).await
        }
        Act::Reply { status, head, body, keep } => {
            local_reply::send(client, &mut record, status, [head.unread(), body], keep).await
        }
        Act::Pass(pass) => match tunnel::open(client, &mut record, pass).await {
            Ok(tunnel) => return AfterExchange::Tunnel(tunnel),
            Err(failure) => {
                record.received.add(request.len, snapshot.worker().now());
                Err(failure)
            }
        },
        Act::Drop => {
            record.fail(&Failure::new(Reason::Dropped));
            record.finish();
            // What was answered before still arrives.
            return AfterExchange::Close;
        }
        Act::Refuse(failure) => Err(failure),
    };
    let end = match end {
        Ok(tunnel @ AfterExchange::Tunnel(_)) => return tunnel,
        Ok(end) => end,
        Err(failure) => local_reply::fail(client, &mut record, Some((&request, body)), failure).await,
    };
    record.finish();
    client.handle.was_answered(record.sent.bytes(), snapshot.worker().now());
    end
}

/// A request that is forwarded, and everything it has to do with on the client's side.
struct Forwarding<'a, 'r> {
    client: &'a mut Client,
    snapshot: &'a Rc<ListenerSnapshot>,
    /// For what is awaited of the target; the client has its own.
    timer: &'a Timer,
    record: &'a mut ExchangeRecord<'r>,
    request: &'a Request,
    body: &'a mut Body,
    proxy: &'a Proxy,
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
    async fn forward(mut self, mut attempts: Attempts) -> Result<AfterExchange, Failure> {
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
        let keep = !response.until_close && local_reply::keeps_connection(&client.handle, request, ends_soon);
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
