//! The life of a request, on one screen.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use super::answer;
use super::connection::Client;
use super::dispatch::Dispatch;
use super::door::Door;
use super::failure::Failure;
use super::record::Record;
use super::reply::{self, Reply, Wait};
use super::request::{self, Awaited, Next, Request};
use super::site::Site;
use super::transfer::{Alongside, Body, Transfer};
use super::tunnel::{self, Side};
use crate::config::plan::{Action, Proxy};
use crate::http::Framing;
use crate::log::Reason;
use crate::tls::Input;
use crate::upstream::Link;
use crate::worker::{Buffer, Timer};

/// How an exchange left the client's connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Another request may follow.
    Clean,
    /// It ends here.
    Close,
}

/// How long a connection keeps the place of its exchanges for the next request, before it goes back
/// to waiting in little room: long enough for requests that follow each other.
const LINGER: Duration = Duration::from_millis(20);

/// Serves requests as long as they follow each other. Gives the client back when it is silent.
pub(super) async fn exchanges(mut client: Client, door: Rc<Door>) -> Option<Client> {
    let timer = door.site().worker().timer();
    loop {
        let site = door.site();
        if exchange(&mut client, &site, &timer).await == End::Close {
            return None;
        }
        // Pipelined requests are here already.
        if client.input.is_empty() {
            match request::wait(&client, &site, LINGER).await {
                Awaited::Request => {}
                Awaited::Silence => return Some(client),
                Awaited::Leave => return None,
            }
        }
    }
}

/// Serves one request. Says whether another may follow.
async fn exchange(client: &mut Client, site: &Rc<Site>, timer: &Timer) -> End {
    let mut record = Record::new(site);
    let (request, next) = match request::read(client, site, &mut record).await {
        Ok(Some(found)) => found,
        Ok(None) => return End::Close,
        Err(failure) => {
            answer::fail(client, &mut record, None, failure).await;
            record.finish(client, None);
            answer::linger(client).await;
            return End::Close;
        }
    };
    let mut body = Body::new(request.framing);
    let end = match next {
        Next::Forward { first_target, head } => {
            let dispatch = Dispatch::new(first_target, head);
            forward(client, site, timer, &mut record, &request, &mut body, dispatch).await
        }
        Next::Answer { status, answer } => answer::send(client, &mut record, &request, status, answer).await,
        Next::NoRule => Err(Failure::new(Reason::NoRule)),
    };
    let end = match end {
        Ok(end) => end,
        Err(failure) => answer::fail(client, &mut record, Some((&request, &body)), failure).await,
    };
    record.finish(client, Some(&request));
    let end = answer::part(client, &mut body, end).await;
    if request.keep_alive && !client.guest.is_asked_to_leave() { end } else { End::Close }
}

/// Sends the request to a target and its response to the client, on as many links as it takes and
/// as may be tried.
async fn forward(
    client: &mut Client,
    site: &Rc<Site>,
    timer: &Timer,
    record: &mut Record<'_>,
    request: &Request,
    body: &mut Body,
    mut dispatch: Dispatch,
) -> Result<End, Failure> {
    let action = request.rule.and_then(|rule| site.rule(rule)).map(|rule| &rule.action);
    let Some(Action::Proxy(proxy)) = action else { return Err(Failure::new(Reason::Internal)) };
    loop {
        let (link, head) = dispatch.link(client, site, request, proxy).await?;
        record.target = Some(link.address);
        let reused = link.reused;
        match converse(client, site, timer, record, request, proxy, body, link, head).await {
            Ok((end, kept)) => {
                if let Some((link, time)) = kept {
                    dispatch.keep(site, proxy, link, time);
                }
                return Ok(end);
            }
            // The target closed an idle connection at the moment we used it: that was no answer, and
            // not the client's fault (RFC 9112, section 9.3.1).
            Err(failure)
                if reused && !record.heard.get() && failure.is_silence() && request.can_be_sent_again() =>
            {
                dispatch.retry();
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// A link that can be used again, and for how long its target would keep it.
type Kept = Option<(Link, Duration)>;

/// One request and its response over one link.
#[expect(clippy::too_many_arguments, reason = "the two connections, the request and what is known of them")]
async fn converse(
    client: &mut Client,
    site: &Rc<Site>,
    timer: &Timer,
    record: &mut Record<'_>,
    request: &Request,
    proxy: &Proxy,
    body: &mut Body,
    mut link: Link,
    head: Buffer,
) -> Result<(End, Kept), Failure> {
    if request.framing != Framing::None {
        // From here on the request cannot be sent again.
        client.input.consume(std::mem::take(&mut record.unconsumed));
    }
    let exchanged = transfer(client, site, timer, record, request, proxy, &mut link, head, body).await?;
    client.input.consume(std::mem::take(&mut record.unconsumed));
    match exchanged {
        Exchanged { status: 101, .. } => {
            client.guest.is_tunnel(site, request.rule);
            let target = Side::new(&link.stream, &mut link.input);
            let meters = (&record.received, &record.sent);
            let relay =
                tunnel::relay(site.worker(), Side::of_client(client), target, meters, proxy.tunnel_timeout);
            record.reason = Box::pin(relay).await.err();
            Ok((End::Close, None))
        }
        Exchanged { until_close: true, .. } => {
            client.stream.close_with_reset(false);
            Ok((End::Close, None))
        }
        // The target answered without wanting all of it; the link is in the middle of a request.
        Exchanged { uploaded: false, .. } => Ok((End::Clean, None)),
        Exchanged { keep_link, .. } => Ok((End::Clean, keep_link.map(|time| (link, time)))),
    }
}

/// What is left to know when both messages have passed.
struct Exchanged {
    status: u16,
    until_close: bool,
    /// All of the request went out.
    uploaded: bool,
    keep_link: Option<Duration>,
}

/// Both messages at once: the request goes on while the response is awaited, and while it passes.
#[expect(clippy::too_many_arguments, reason = "the two connections, the request and what is known of them")]
async fn transfer(
    client: &mut Client,
    site: &Rc<Site>,
    timer: &Timer,
    record: &mut Record<'_>,
    request: &Request,
    proxy: &Proxy,
    link: &mut Link,
    head: Buffer,
    body: &mut Body,
) -> Result<Exchanged, Failure> {
    let worker = site.worker();
    let keep = request.keep_alive && !client.guest.is_asked_to_leave();
    let mut no_body = Input::default();
    let mut upload = Transfer {
        worker,
        from: &client.stream,
        input: if request.framing == Framing::None { &mut no_body } else { &mut client.input },
        to: &link.stream,
        timer: &client.timer,
        patience: proxy.body_timeout,
        chunked: request.framing == Framing::Chunked,
        trailers: request.accepts_trailers,
        most: proxy.max_body,
        meter: &record.received,
        counts_reads: true,
        begun: Cell::default(),
    };
    let uploading = pin!(upload.run(head, body));
    let mut alongside = Alongside::new(&client.stream, uploading);

    let wait = Wait { timer, patience: proxy.response_timeout, upload: &record.received };
    let reading = reply::read_final(
        &link.stream,
        &mut link.input,
        &client.stream,
        site,
        request,
        &wait,
        keep,
        (&record.heard, &record.sent),
    );
    let reply = alongside.run(reading).await?;

    if reply.until_close {
        client.stream.close_with_reset(true);
    }

    let Reply { status, until_close, keep_link, .. } = reply;
    let mut response = Body::new(reply.framing);
    let mut download = Transfer {
        worker,
        from: &link.stream,
        input: &mut link.input,
        to: &client.stream,
        timer,
        patience: proxy.body_timeout,
        chunked: reply.chunked,
        trailers: request.accepts_trailers,
        most: None,
        meter: &record.sent,
        counts_reads: false,
        begun: Cell::default(),
    };
    let downloaded = alongside.run(download.run_as_response(reply.head, &mut response)).await;
    // A body that was bad before the head went out: then the client can still be told.
    record.status = download.begun.get().then_some(status);
    downloaded?;
    Ok(Exchanged { status, until_close, uploaded: alongside.is_complete(), keep_link })
}
