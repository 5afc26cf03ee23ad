//! From the bytes of a request's head to what is to be done with it.
//!
//! All of this happens at once, between two awaits, while the head lies parsed in the worker's field
//! table: afterwards only a few small values are left, and the head for the target is written.

use std::rc::Rc;

use super::decision::Act;
use crate::config::plan::{Action, HttpListener, Proxy, RedirectToHttps, Rule};
use crate::generation::ListenerSnapshot;
use crate::http::{Framing, HostKey, Method, RequestHead, match_path};
use crate::http1::{HeadScan, parse_request};
use crate::proxy::client::{Client, Media, Request, keeps_connection};
use crate::proxy::forward::{forwarded, hops, write_request_head};
use crate::proxy::local_reply;
use crate::proxy::record::{Detail, ExchangeRecord, Failure, Misdirection, RequestSummary};
use crate::reason::Reason;

/// Parses what is there and decides. `None`: the head is not complete.
pub(super) fn parse<'a>(
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
    let is_ambiguous = rule.is_some_and(|rule| is_ambiguous(snapshot, &head, host.as_ref(), rule));
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
        let keep = keeps_connection(&client.handle, &request, request.ends_soon(request.len as u64));
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
    let keeps = || keeps_connection(&client.handle, request, request.ends_soon(request.len as u64));
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

/// Whether the first rule that matches, given with its index, would send to a target a path that the target
/// may read as one that another rule guards.
fn is_ambiguous(
    snapshot: &ListenerSnapshot,
    head: &RequestHead<'_>,
    host: Option<&HostKey>,
    (matched, rule): (usize, &Rule),
) -> bool {
    let Some(guards) = &snapshot.generation.guards[snapshot.index] else { return false };
    let host = host.map_or(&b""[..], HostKey::as_bytes);
    let rules = &snapshot.generation.tables[snapshot.index];
    rule.action.upstream().is_some() && guards.find(rules, matched, host, head.path, head.method).is_some()
}

/// A body whose length is known is refused before any of it is read.
fn too_large(proxy: &Proxy, framing: Framing) -> Option<Failure> {
    let (Framing::Length(length), Some(most)) = (framing, proxy.max_body) else { return None };
    let detail = || Detail::Text(format!("{length} bytes announced, {most} allowed"));
    (length > most).then(|| Failure { reason: Reason::BodyTooLarge, detail: detail() })
}
