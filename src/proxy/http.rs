//! The life of a request, on one screen.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use super::answer;
use super::body::{Body, Incoming};
use super::connection::Client;
use super::dispatch::Dispatch;
use super::failure::Failure;
use super::ground::Ground;
use super::passthrough;
use super::record::Record;
use super::reply::{Reply, Wait};
use super::request::{self, Awaited, Next, Request};
use super::site::Site;
use super::transfer::{Alongside, Transfer};
use super::tunnel::Tunnel;
use crate::config::plan::Proxy;
use crate::http::Framing;
use crate::log::Reason;
use crate::upstream::Link;
use crate::worker::{Buffer, Timer};

/// How an exchange left the client's connection.
pub(super) enum End {
    /// Another request may follow: the head of the answer has said so.
    Clean,
    /// It ends here, and the client is to get all that was sent.
    Close,
    /// It ends here and at once: what was sent is no whole message and must not look like one, or nobody reads it.
    Cut,
    /// Bytes follow, and no requests.
    Tunnel(Box<Tunnel>),
}

/// How long a connection keeps the place of its exchanges for the next request, before it goes back
/// to waiting in little room: long enough for requests that follow each other.
const LINGER: Duration = Duration::from_millis(20);

/// Serves requests as long as they follow each other. Gives the client back when it is silent.
pub(super) async fn exchanges(mut client: Client) -> Option<Client> {
    let timer = client.door.site().worker().timer();
    loop {
        let site = client.door.site();
        let end = exchange(&mut client, &site, &timer).await;
        // A tunnel may take days, and keeps no generation that long.
        drop(site);
        match end {
            End::Clean => {}
            End::Close | End::Cut => return None,
            End::Tunnel(tunnel) => {
                // Boxed, so that the tunnels of the few do not make the futures of all large.
                Box::pin(tunnel.run(&mut client)).await;
                return None;
            }
        }
        // Pipelined requests are here already.
        if client.input.is_empty() {
            match request::wait(&client, LINGER).await {
                Awaited::Request => {}
                Awaited::Silence => return Some(client),
                Awaited::Leave => return None,
            }
        }
    }
}

/// Serves one request. Says whether another may follow.
async fn exchange(client: &mut Client, site: &Rc<Site>, timer: &Timer) -> End {
    let mut record = Record::new(site, client);
    let (request, next) = match request::read(client, site, &mut record).await {
        Ok(Some(found)) => found,
        Ok(None) => return End::Cut,
        Err(failure) => {
            record.learn_part(client.input.unread());
            let end = answer::fail(client, &mut record, None, failure).await;
            record.finish();
            client.guest.was_answered(record.sent.bytes(), site.worker().now());
            // Where its body would end is not known.
            return answer::part(client, &mut Body::new(Framing::UntilClose, 0), end).await;
        }
    };
    let mut body = Body::new(request.framing, request.len);
    let end = match next {
        Next::Forward { proxy, first_target, head } => {
            let (record, request, body) = (&mut record, &request, &mut body);
            let passage = Passage { client, site, timer, record, request, body, proxy };
            passage.forward(Dispatch::new(first_target, head)).await
        }
        Next::Answer { status, head, body, keep } => {
            answer::send(client, &mut record, status, [head.unread(), body], keep).await
        }
        Next::Pass(pass) => match passthrough::open(client, &mut record, pass).await {
            Ok(tunnel) => return End::Tunnel(tunnel),
            Err(failure) => {
                record.received.add(request.len, site.worker().now());
                Err(failure)
            }
        },
        Next::Drop => {
            record.fail(&Failure::new(Reason::Dropped));
            record.finish();
            // What was answered before still arrives.
            return answer::part(client, &mut body, End::Close).await;
        }
        Next::Refuse(failure) => Err(failure),
    };
    let end = match end {
        Ok(tunnel @ End::Tunnel(_)) => return tunnel,
        Ok(end) => end,
        Err(failure) => answer::fail(client, &mut record, Some((&request, &body)), failure).await,
    };
    record.finish();
    client.guest.was_answered(record.sent.bytes(), site.worker().now());
    answer::part(client, &mut body, end).await
}

/// A request that is forwarded, and everything it has to do with on the client's side.
struct Passage<'a, 'r> {
    client: &'a mut Client,
    site: &'a Rc<Site>,
    /// For what is awaited of the target; the client has its own.
    timer: &'a Timer,
    record: &'a mut Record<'r>,
    request: &'a Request,
    body: &'a mut Body,
    proxy: &'a Proxy,
}

/// What is left to know when both messages have passed.
struct Exchanged {
    status: u16,
    /// What the head said of the client's connection: that it stays.
    keep: bool,
    until_close: bool,
    /// All of the request went out.
    uploaded: bool,
    /// How long the target would keep the link, if at all.
    keep_link: Option<Duration>,
}

impl Passage<'_, '_> {
    /// Sends the request to a target and its response to the client, on as many links as it takes and
    /// as may be tried.
    async fn forward(mut self, mut dispatch: Dispatch) -> Result<End, Failure> {
        loop {
            let mut link = match dispatch.reuse(self.site, self.request, self.proxy) {
                Some(link) => link,
                // Boxed, so that the handshakes of the few do not make the futures of all large.
                None => {
                    let opening = dispatch.open(self.site, self.request, self.proxy);
                    Box::pin(self.client.unless_gone(opening)).await?
                }
            };
            let head = dispatch.head(self.client, self.site, self.request, self.proxy)?;
            self.record.target = Some(link.address);
            if self.request.framing != Framing::None {
                // From here on the request cannot be sent again.
                self.body.release(&mut self.client.input);
            }
            // An `await` alone would copy the future once more.
            let outcome = pin!(self.transfer(&mut link, head)).await;
            let failure = match outcome {
                Ok(exchanged) => return Ok(self.conclude(&dispatch, link, exchanged)),
                Err(failure) => failure,
            };
            if !link.reused || !self.may_be_sent_again(&failure) {
                return Err(failure);
            }
            dispatch.retry();
        }
    }

    /// The target closed an idle connection at the moment we used it: that was no answer, and not the
    /// client's fault (RFC 9112, section 9.3.1).
    fn may_be_sent_again(&self, failure: &Failure) -> bool {
        failure.is_silence() && !self.record.heard.get() && self.request.can_be_sent_again()
    }

    /// What is to become of both connections once both messages have passed.
    fn conclude(&mut self, dispatch: &Dispatch, link: Box<Link>, exchanged: Exchanged) -> End {
        self.body.release(&mut self.client.input);
        if exchanged.until_close {
            self.client.stream.close_with_reset(false);
        }
        match exchanged {
            Exchanged { status: 101, .. } => return End::Tunnel(self.tunnel(link)),
            // The target answered without wanting all of it; the link is in the middle of a request.
            Exchanged { uploaded: false, .. } => {}
            Exchanged { keep_link: Some(time), .. } => dispatch.keep(self.site, self.proxy, link, time),
            Exchanged { keep_link: None, .. } => {}
        }
        if exchanged.keep { End::Clean } else { End::Close }
    }

    /// Both messages at once: the request goes on while the response is awaited, and while it passes.
    async fn transfer(&mut self, link: &mut Link, mut head: Buffer) -> Result<Exchanged, Failure> {
        let Self { client, site, timer, record, request, body, proxy } = self;
        let worker = site.worker();
        let mut upload = Transfer {
            worker,
            from: Incoming { stream: &client.stream, input: &mut client.input, body },
            to: &link.stream,
            timer: &client.timer,
            patience: proxy.body_timeout,
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
        let mut alongside =
            Alongside::new(&client.stream, uploading.as_pin_mut(), sent.is_err(), &record.received);

        let wait = Wait {
            target: &link.stream,
            input: &mut link.input,
            client: &client.stream,
            request,
            record,
            timer,
            patience: proxy.response_timeout,
        };
        let mut reply = alongside.run(pin!(wait.read_final())).await?;
        if reply.until_close {
            client.stream.close_with_reset(true);
        }
        // What the head says is kept: all that speaks against another request is asked here, and nothing later.
        let ends_soon = alongside.is_complete() || request.ends_soon(record.received.bytes());
        let keep = !reply.until_close && answer::keeps(&client.guest, request, ends_soon);
        reply.end_head(request, keep);

        let Reply { status, until_close, keep_link, .. } = reply;
        let mut response = Body::new(reply.framing, 0);
        let mut download = Transfer {
            worker,
            from: Incoming { stream: &link.stream, input: &mut link.input, body: &mut response },
            to: &client.stream,
            timer,
            patience: proxy.body_timeout,
            chunked: reply.chunked,
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
        let downloaded = match download.send_short(&mut reply.head) {
            Ok(true) => Ok(()),
            Ok(false) => alongside.run(pin!(download.run_as_response(reply.head))).await,
            Err(error) => Err(Failure::of_client(error)),
        };
        // A body that was bad before the head went out: then the client can still be told.
        record.status = download.begun.get().then_some(status);
        downloaded?;
        let uploaded = alongside.end(&link.stream, until_close)?;
        Ok(Exchanged { status, keep, until_close, uploaded, keep_link })
    }

    /// After 101: what is to go on when the exchange, and all it holds, is over.
    fn tunnel(&mut self, link: Box<Link>) -> Box<Tunnel> {
        let ground = Ground::new(self.site, self.request.rule);
        let prelude = self.record.hand_over(101);
        Box::new(Tunnel { ground, link, patience: self.proxy.tunnel_timeout, prelude })
    }
}
