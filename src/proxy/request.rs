//! From the bytes of a request's head to what is to be done with it.
//!
//! All of this happens at once, between two awaits, while the head lies parsed in the worker's field
//! table: afterwards only a few small values are left, and the head for the target is written.

use std::future::{Future, poll_fn};
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::client::{Client, Unfinished};
use super::fields::{Forwarded, write_request_head};
use super::hops;
use super::local_reply::{self, Media};
use super::record::ExchangeRecord;
use super::record::RequestSummary;
use super::record::{Detail, Failure, Misdirection};
use crate::config::plan::{Action, HttpListener, Pass, Proxy, RedirectToHttps, Rule};
use crate::generation::ListenerSnapshot;
use crate::http::{Framing, HostKey, Method, RequestHead, Version, match_path};
use crate::http1::{HeadScan, parse_request};
use crate::reason::Reason;
use crate::upstream::Pool;
use crate::worker::Buffer;

/// What is known of a request once its head is no longer looked at.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) framing: Framing,
    /// The client would go on with this connection.
    pub(super) keep_alive: bool,
    /// It asks for `Upgrade: websocket`.
    pub(super) upgrade: bool,
    /// It sent `Expect: 100-continue`.
    pub(super) expects: bool,
    /// It sent `TE: trailers`.
    pub(super) accepts_trailers: bool,
    /// What it likes best of what own answers come in.
    pub(super) prefers: Media,
    /// Bytes of the head.
    pub(super) len: usize,
    /// Index of the rule that matched.
    pub(super) rule: Option<usize>,
}

/// What is to be done.
pub(super) enum Act<'a> {
    /// Forward it to this target, the first of those that will be tried; its head is written.
    Forward { proxy: &'a Proxy, first_target: usize, head: Buffer },
    /// Send this answer, and say in it whether the connection stays; the body is the rule's own, if it is too long to
    /// be copied behind the head.
    Reply { status: u16, head: Buffer, body: &'a [u8], keep: bool },
    /// Pass the whole connection on, this head included: it is all still there.
    Pass(&'a Pass),
    /// Close the connection without an answer.
    Drop,
    /// Refuse it: no rule matched, or it is nothing that the rule may take.
    Refuse(Failure),
}

impl Request {
    /// Whether it may go to a target twice: doing it twice is doing it once (RFC 9110, section 9.2.2),
    /// and all of it is still there.
    pub(super) fn is_repeatable(&self) -> bool {
        self.method.is_idempotent() && self.framing == Framing::None
    }

    /// Whether what is left of it, after the first `received` bytes, will come and is little enough to be read for
    /// nothing: of chunks nobody knows, and who waits for leave to send a body sends none after a final answer.
    pub(super) fn ends_soon(&self, received: u64) -> bool {
        match self.framing {
            Framing::None => true,
            Framing::Length(length) => {
                let waits = self.expects && received <= self.len as u64;
                let left = (self.len as u64 + length).saturating_sub(received);
                left == 0 || !waits && left <= local_reply::DRAIN_BYTES as u64
            }
            Framing::Chunked | Framing::UntilClose => false,
        }
    }
}

/// Reads one head, however many reads it takes, and decides. `None`: the client closed between two
/// requests, or was silent for too long.
///
/// # Errors
/// When the head is not a request that may go on, takes too long, or is cut off.
pub(super) async fn read<'a>(
    client: &mut Client,
    snapshot: &'a Rc<ListenerSnapshot>,
    record: &mut ExchangeRecord<'_>,
) -> Result<Option<(Request, Act<'a>)>, Failure> {
    let Some(http) = snapshot.http() else { return Ok(None) };
    let mut scan = HeadScan::default();
    let mut begun: Option<Instant> = None;
    let mut unfinished = Unfinished::new(&client.listener_state, &client.handle);
    loop {
        if let Some(found) = parse(client, snapshot, http, record, &mut scan)? {
            if !matches!(found.1, Act::Pass(_)) {
                record.received.add(found.0.len, snapshot.worker().now());
            }
            return Ok(Some(found));
        }
        let now = snapshot.worker().now();
        let timeout = match (client.input.is_empty(), begun) {
            (true, _) => http.idle_timeout,
            (false, None) => http.header_timeout,
            (false, Some(begun)) => (begun + http.header_timeout).saturating_duration_since(now),
        };
        if !client.input.is_empty() {
            begun.get_or_insert(now);
            record.begin();
        }
        // One byte more than the limit, so that the parser sees that it is over.
        let fill = client.input.fill(&client.stream, http.head.bytes + 1);
        match unfinished.wait(client.timer.within(timeout, fill)).await {
            Ok(0) if client.input.is_empty() => return Ok(None),
            Ok(0) => return Err(Failure::of_client(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(_) if client.input.is_empty() => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(Failure::new(Reason::RequestTimeout));
            }
            Err(error) => return Err(Failure::of_client(error)),
        }
    }
}

/// Parses what is there and decides. `None`: the head is not complete.
fn parse<'a>(
    client: &Client,
    snapshot: &'a Rc<ListenerSnapshot>,
    http: &HttpListener,
    record: &mut ExchangeRecord<'_>,
    scan: &mut HeadScan,
) -> Result<Option<(Request, Act<'a>)>, Failure> {
    if client.input.is_empty() {
        return Ok(None);
    }
    let mut table = snapshot.state.table.borrow_mut();
    let Some(head) = parse_request(client.input.unread(), scan, &http.head, &mut table)? else {
        return Ok(None);
    };
    let host = head.host_key();
    let may_ask = snapshot
        .terminator()
        .is_none_or(|terminator| terminator.may_serve_host(host.as_ref(), &client.stream));
    let rule = if may_ask { find_rule(snapshot, &head, host.as_ref()) } else { None };
    let matched = rule.map(|(_, rule)| rule);
    let is_ambiguous = matched.is_some_and(|rule| is_ambiguous(snapshot, &head, host.as_ref(), rule));
    let leaves = |redirect: &RedirectToHttps| is_ambiguous || redirect.exempts(head.path, matched);
    let to_https = http.redirect_to_https.filter(|redirect| !leaves(redirect));
    let rule = rule.filter(|_| to_https.is_none());
    let request = Request {
        method: head.known_method,
        version: head.version,
        framing: head.framing,
        keep_alive: head.keep_alive,
        upgrade: head.upgrade_websocket,
        expects: head.expect_continue,
        accepts_trailers: head.accepts_trailers,
        prefers: Media::of(&head),
        len: head.len,
        rule: rule.map(|(index, _)| index),
    };
    let summary = snapshot.generation.access.is_some().then(|| Box::new(RequestSummary::of(&head)));
    record.learn(request.method, request.rule, summary);
    if !may_ask {
        return Ok(Some((request, Act::Refuse(Failure::misdirected(Misdirection::OtherDemands)))));
    }
    if is_ambiguous {
        return Ok(Some((request, Act::Refuse(Failure::new(Reason::PathAmbiguous)))));
    }
    if let Some(redirect) = to_https {
        let mut out = snapshot.worker().buffer();
        let keep =
            local_reply::keeps_connection(&client.handle, &request, request.ends_soon(request.len as u64));
        let status = local_reply::write_redirect_to_https(redirect, &head, keep, snapshot, &mut out);
        let act = status.map_or(Act::Refuse(Failure::new(Reason::RequestHost)), |status| Act::Reply {
            status,
            head: out,
            body: &[],
            keep,
        });
        return Ok(Some((request, act)));
    }
    let Some((_, rule)) = rule else {
        return Ok(Some((request, Act::Refuse(Failure::new(Reason::NoRule)))));
    };
    let act = act(rule, &head, &request, client, snapshot, http);
    Ok(Some((request, act)))
}

/// What a rule that matched does.
fn act<'a>(
    rule: &'a Rule,
    head: &RequestHead<'_>,
    request: &Request,
    client: &Client,
    snapshot: &ListenerSnapshot,
    http: &HttpListener,
) -> Act<'a> {
    let keeps =
        || local_reply::keeps_connection(&client.handle, request, request.ends_soon(request.len as u64));
    let mut out = snapshot.worker().buffer();
    match &rule.action {
        // RFC 9110, section 7.6.2: it goes no further, and who is asked is here.
        Action::Proxy(_) if hops::left(head) == Some(0) => match head.known_method {
            Method::Options => {
                let keep = keeps();
                local_reply::write_options(head, keep, snapshot, &mut out);
                Act::Reply { status: 200, head: out, body: &[], keep }
            }
            _ => Act::Refuse(Failure::new(Reason::RequestMethod)),
        },
        Action::Proxy(_) if hops::go_in_circles(head.fields) => {
            Act::Refuse(Failure::new(Reason::LoopDetected))
        }
        Action::Proxy(proxy) => match too_large(proxy, head.framing) {
            Some(failure) => Act::Refuse(failure),
            None => {
                let upstream = snapshot.upstreams.get(proxy.upstream);
                let first_target = upstream.next_target();
                let origin = upstream.pool(first_target, 0).origin();
                write_request_head(head, rule, proxy, origin, &forwarded(client, http), &mut out);
                Act::Forward { proxy, first_target, head: out }
            }
        },
        Action::Redirect(redirect) => {
            let keep = keeps();
            local_reply::write_redirect(redirect, head, keep, snapshot, &mut out);
            Act::Reply { status: redirect.status, head: out, body: &[], keep }
        }
        // What was decrypted here is not what the target is to get.
        Action::Pass(_) if client.stream.is_encrypted() => {
            Act::Refuse(Failure::misdirected(Misdirection::PassedOn))
        }
        Action::Pass(pass) => Act::Pass(pass),
        Action::Drop => Act::Drop,
        Action::Respond(respond) => {
            let keep = keeps();
            let body = local_reply::write_respond(respond, head, keep, snapshot, &mut out);
            Act::Reply { status: respond.status, head: out, body, keep }
        }
    }
}

/// Writes the head once more, for another target: the client's is still there.
pub(super) fn rebuild_head(
    client: &Client,
    snapshot: &ListenerSnapshot,
    request: &Request,
    pool: &Pool,
) -> Result<Buffer, Failure> {
    let again = || Failure::new(Reason::Internal);
    let http = snapshot.http().ok_or_else(again)?;
    let rule = request.rule.and_then(|rule| snapshot.rule(rule)).ok_or_else(again)?;
    let Action::Proxy(proxy) = &rule.action else { return Err(again()) };
    let mut table = snapshot.state.table.borrow_mut();
    let head = parse_request(client.input.unread(), &mut HeadScan::default(), &http.head, &mut table)?;
    let mut out = snapshot.worker().buffer();
    let head = head.ok_or_else(again)?;
    write_request_head(&head, rule, proxy, pool.origin(), &forwarded(client, http), &mut out);
    Ok(out)
}

/// What the head for a target says of its client.
fn forwarded(client: &Client, http: &HttpListener) -> Forwarded {
    let trusted = http.trusted_proxies.iter().any(|network| network.contains(&client.peer));
    let proto = if client.stream.is_encrypted() { "https" } else { "http" };
    Forwarded { peer: client.peer, trusted, proto }
}

/// The first rule that matches, and its index.
fn find_rule<'a>(
    snapshot: &'a ListenerSnapshot,
    head: &RequestHead<'_>,
    host: Option<&HostKey>,
) -> Option<(usize, &'a Rule)> {
    let host = host.map_or(&b""[..], HostKey::as_bytes);
    let index = snapshot.generation.tables[snapshot.index].find(host, &match_path(head.path), head.method)?;
    Some((index, snapshot.rule(index)?))
}

/// Whether `rule`, the first that matches, would send on to a target what the target may read as a path that
/// another rule guards.
fn is_ambiguous(
    snapshot: &ListenerSnapshot,
    head: &RequestHead<'_>,
    host: Option<&HostKey>,
    rule: &Rule,
) -> bool {
    let Some(guards) = &snapshot.generation.guards[snapshot.index] else { return false };
    let host = host.map_or(&b""[..], HostKey::as_bytes);
    rule.action.upstream().is_some() && guards.find(host, head.path, head.method).is_some()
}

/// A body whose length is known is refused before any of it is read.
fn too_large(proxy: &Proxy, framing: Framing) -> Option<Failure> {
    let (Framing::Length(length), Some(most)) = (framing, proxy.max_body) else { return None };
    let detail = || Detail::Text(format!("{length} bytes announced, {most} allowed"));
    (length > most).then(|| Failure { reason: Reason::BodyTooLarge, detail: detail() })
}

/// What came of waiting for a request.
pub(super) enum IdleEnd {
    /// There is something to read.
    Request,
    /// Nothing came.
    Timeout,
    /// The gate would rather not have another.
    Draining,
}

/// Waits for the first byte of a request, without a buffer, for at most `timeout`; once the gate would rather
/// not have another, no longer than the connection was said to stay.
///
/// Holds no site: a generation that was replaced is not kept by a silent connection. No `async fn`: its
/// arguments would be stored twice.
pub(super) fn wait_for_request(client: &Client, timeout: Duration) -> impl Future<Output = IdleEnd> {
    // Asks the kernel where the last read has not shown that it took everything: to take that for a
    // request would be to hold a site.
    client.stream.has_pending_event();
    async move {
        let first_byte = poll_fn(|cx| {
            // The kernel is asked, since a request that came in this very moment must be answered.
            if client.handle.poll_draining(cx).is_ready() && client.stream.is_open_and_idle() {
                return Poll::Ready(Ok(IdleEnd::Draining));
            }
            client.stream.poll_readable(cx).map(|()| Ok(IdleEnd::Request))
        });
        match client.timer.within(timeout, first_byte).await {
            // Boxed, so that a connection that is not asked to leave does not carry this wait too.
            Ok(IdleEnd::Draining) => Box::pin(wait_to_leave(client)).await,
            awaited => awaited.unwrap_or(IdleEnd::Timeout),
        }
    }
}

/// Waits for the request that may be under way, as long as the client was told that its connection stays.
async fn wait_to_leave(client: &Client) -> IdleEnd {
    let left = client.handle.stays_until().saturating_duration_since(client.stream.worker().now());
    let first_byte = poll_fn(|cx| client.stream.poll_readable(cx).map(|()| Ok(IdleEnd::Request)));
    client.timer.within(left, first_byte).await.unwrap_or(IdleEnd::Draining)
}
