//! Parses a head, finds its rule, and decides.
//!
//! All of this happens between two awaits, while the parsed head is in the worker's field table. After that, a few
//! small values of the head are left, and the head for the target or the response is written.

use std::net::IpAddr;
use std::sync::Arc;

use super::decision::{Act, Asked, Decision, Question};
use crate::config::plan::{Action, HttpListener, Proxy, RedirectToHttps, Rule};
use crate::generation::{ClientCensus, ListenerSnapshot};
use crate::http::{Framing, HostKey, Method, RequestHead, match_path};
use crate::http1::{HeadScan, parse_request};
use crate::policy::{self, ConnectionSpeed, Outcome, PolicyRequest};
use crate::proxy::client::{Exchange, Request};
use crate::proxy::edits::{self, ClientValues};
use crate::proxy::file_reply;
use crate::proxy::forward::{self, Attempts, can_rewrite, client_of, hops};
use crate::proxy::local_reply::{self, Reply};
use crate::proxy::record::{Detail, ExchangeRecord, Failure, Misdirection, RequestSummary};
use crate::proxy::transfer::Body;
use crate::reason::Reason;
use crate::routing::RequestView;

/// The result of looking a head up.
enum Lookup<'a> {
    /// The rule with this index acts.
    Rule(usize, &'a Rule),
    /// The listener redirects to `https`.
    RedirectToHttps(RedirectToHttps),
    /// A certificate authority asks for an open challenge, whose answer this is.
    Challenge(Arc<str>),
    /// smolgate refuses the request. The rule with this index matched, if there is an index.
    Refuse(Option<usize>, Failure),
}

/// Parses the bytes that are here and decides. Writes the `act`.
///
/// # Errors
/// When the head is not valid.
pub(super) fn decide<'a>(
    exchange: &mut Exchange<'a>,
    http: &'a HttpListener,
    scan: &mut HeadScan,
    act: &mut Option<Act<'a>>,
) -> Result<Decision<'a>, Failure> {
    if exchange.client.input.is_empty() {
        return Ok(Decision::Incomplete);
    }
    let snapshot = exchange.snapshot;
    let mut table = snapshot.state.table.borrow_mut();
    let Some(head) = parse_request(exchange.client.input.unread(), scan, &http.head_limits(), &mut table)?
    else {
        return Ok(Decision::Incomplete);
    };
    let behind = client_of(http, exchange.client.peer, &head);
    if let Some(client) = behind {
        exchange.record.client = client.address;
    }
    if let (Some(census), None) = (&snapshot.client_census, behind) {
        watch_clients(snapshot, census, exchange.client.peer);
    }
    let found = look_up(exchange, http, &head);
    let rule = match &found {
        Lookup::Rule(index, _) => Some(*index),
        Lookup::RedirectToHttps(_) | Lookup::Challenge(_) => None,
        Lookup::Refuse(index, _) => *index,
    };
    if let Some(rule) = matched(snapshot, &found).filter(|rule| rule.headers.is_some()) {
        let is_encrypted = exchange.client.stream.is_encrypted();
        let record = &mut exchange.record;
        let values = ClientValues::new(record.client, is_encrypted, &record.policies);
        edits::begin(&mut record.headers, snapshot.worker(), rule, &head, (values, behind.is_some()));
    }
    let headers = &exchange.record.headers;
    let summary = || Box::new(RequestSummary::of(&head, headers.identities()));
    let summary = snapshot.access_lines(rule).is_some().then(summary);
    exchange.request = Request::of(&head);
    exchange.record.learn(head.known_method, rule, summary);
    exchange.body = Body::new(head.framing, head.len);
    let decision = match found {
        Lookup::Rule(index, rule) => {
            let is_encrypted = exchange.client.stream.is_encrypted();
            let (speed, record) = (&exchange.client.speed, &mut exchange.record);
            let outcome = consult((index, rule), &head, (is_encrypted, speed), record);
            by_rule(exchange, (index, rule), &head, outcome, act)
        }
        Lookup::RedirectToHttps(redirect) => {
            decided(act, with_host(local_reply::redirect_to_https(exchange, &head, redirect)))
        }
        Lookup::Challenge(answer) => decided(act, Act::Reply(local_reply::challenge(exchange, &answer))),
        Lookup::Refuse(_, failure) => decided(act, Act::Refuse(failure)),
    };
    // A connection that is passed on counts its bytes itself.
    if !matches!(act, Some(Act::Pass(_))) {
        exchange.record.received.add(head.len, snapshot.worker().moment());
    }
    Ok(decision)
}

/// Counts the address of a client that no trusted proxy has told. If most requests have one private address, a line in
/// the log says so once.
#[cold]
fn watch_clients(snapshot: &ListenerSnapshot, census: &ClientCensus, peer: IpAddr) {
    if let Some(client) = census.count(peer) {
        let listener = &*snapshot.listener().name;
        tracing::warn!(%client, listener, "most requests come from one private address, so `from` and limits on clients take them for one client; if it is a proxy, name it in `trusted_proxies`");
    }
}

/// The rule that matched, if there is one.
fn matched<'a>(snapshot: &'a ListenerSnapshot, found: &Lookup<'a>) -> Option<&'a Rule> {
    match found {
        Lookup::Rule(_, rule) => Some(rule),
        Lookup::Refuse(index, _) => snapshot.rule((*index)?),
        Lookup::RedirectToHttps(_) | Lookup::Challenge(_) => None,
    }
}

#[inline(always)]
fn decided<'a>(place: &mut Option<Act<'a>>, act: Act<'a>) -> Decision<'a> {
    *place = Some(act);
    Decision::Act
}

/// Decides again when the policies of a rule have an answer. Writes the `act`.
///
/// # Errors
/// `Internal` if the head cannot be parsed again.
#[cold]
pub(super) fn decide_again<'a>(
    exchange: &mut Exchange<'a>,
    http: &HttpListener,
    index: usize,
    act: &mut Option<Act<'a>>,
) -> Result<Decision<'a>, Failure> {
    let gone = || Failure::new(Reason::Internal);
    let snapshot = exchange.snapshot;
    let rule = snapshot.rule(index).ok_or_else(gone)?;
    let mut table = snapshot.state.table.borrow_mut();
    let (input, limits) = (exchange.client.input.unread(), http.head_limits());
    let head =
        parse_request(input, &mut exchange.client.head_scan(), &limits, &mut table)?.ok_or_else(gone)?;
    let is_encrypted = exchange.client.stream.is_encrypted();
    let (speed, record) = (&exchange.client.speed, &mut exchange.record);
    let outcome = consult((index, rule), &head, (is_encrypted, speed), record);
    Ok(by_rule(exchange, (index, rule), &head, outcome, act))
}

/// The decision of the policies of a rule.
#[inline(always)]
fn consult<'a>(
    (index, rule): (usize, &Rule),
    head: &RequestHead<'_>,
    (is_encrypted, connection): (bool, &ConnectionSpeed),
    record: &mut ExchangeRecord<'a>,
) -> Result<Outcome<'a>, Reason> {
    let (snapshot, client) = (record.snapshot, record.client);
    let Some(policies) = snapshot.policies(index) else { return Ok(Outcome::Act) };
    let request = PolicyRequest { head, client, now: snapshot.worker().now(), connection };
    let outcome = policy::check(policies, &request, &mut record.policies);
    if rule.headers.is_some() && record.policies.is_identified() {
        let client = ClientValues::new(client, is_encrypted, &record.policies);
        edits::write_response_lines(&mut record.headers, snapshot.worker(), rule, head, client);
    }
    outcome
}

/// The decision about a request of a rule. Inlined, because the large act would be copied once more.
#[inline(always)]
fn by_rule<'a>(
    exchange: &Exchange<'a>,
    (index, rule): (usize, &'a Rule),
    head: &RequestHead<'_>,
    outcome: Result<Outcome<'a>, Reason>,
    act: &mut Option<Act<'a>>,
) -> Decision<'a> {
    if let Ok(Outcome::Mirror(mirroring)) = outcome {
        forward::mirror(exchange, rule, mirroring, head);
    }
    decided(
        act,
        match outcome {
            Ok(Outcome::Act | Outcome::Mirror(_)) => act_of(exchange, rule, head),
            Ok(Outcome::Preflight) => Act::Reply(local_reply::preflight(exchange)),
            Ok(Outcome::Identify(question)) => {
                return Decision::Ask(Question { rule: index, what: Asked::User(question) });
            }
            Ok(Outcome::Plugins(plugins)) => {
                return Decision::Ask(Question { rule: index, what: Asked::Plugins(plugins) });
            }
            Ok(Outcome::Wait(limit)) => {
                return Decision::Ask(Question { rule: index, what: Asked::Place(limit) });
            }
            Err(reason) => Act::Refuse(Failure::of_policy(reason, &exchange.record.policies)),
        },
    )
}

/// Finds the rule of a head, unless the listener answers, refuses or redirects the request itself.
fn look_up<'a>(exchange: &Exchange<'a>, http: &HttpListener, head: &RequestHead<'_>) -> Lookup<'a> {
    let Exchange { client, snapshot, record, .. } = exchange;
    // Few hosts have to be changed before they are compared.
    let folded;
    let host = match head.host.and_then(|host| host.plain_host()) {
        Some(plain) => plain,
        None => {
            folded = head.host_key();
            folded.as_ref().map_or(&b""[..], HostKey::as_bytes)
        }
    };
    // The tokens of open challenges are ours, so no rule can mean them.
    let issued = &snapshot.generation.issued;
    if let Some(answer) = head.host.and_then(|_| issued.http_answer(host, head.path)) {
        return Lookup::Challenge(answer);
    }
    let terminator = snapshot.terminator();
    if terminator
        .is_some_and(|terminator| !terminator.may_serve_host(head.host.map(|_| host), &client.stream))
    {
        return Lookup::Refuse(None, Failure::misdirected(Misdirection::OtherDemands));
    }
    let path = match_path(head.path);
    let request = RequestView::of(head, host, &path, record.client);
    let found = find_by_preflight(snapshot, head, &request).or_else(|| find_rule(snapshot, &request));
    if let Some(found) = found.filter(|found| is_ambiguous(snapshot, head.path, &request, *found)) {
        return Lookup::Refuse(Some(found.0), Failure::new(Reason::PathAmbiguous));
    }
    let exempts = |to_https: &RedirectToHttps| to_https.exempts(head.path, found.map(|(_, rule)| rule));
    match (http.redirect_to_https.filter(|to_https| !exempts(to_https)), found) {
        (Some(to_https), _) => Lookup::RedirectToHttps(to_https),
        (None, Some((index, rule))) => Lookup::Rule(index, rule),
        (None, None) => Lookup::Refuse(None, Failure::new(Reason::NoRule)),
    }
}

/// Finds the first rule that matches. Returns its index, too.
#[inline(always)]
fn find_rule<'a>(snapshot: &'a ListenerSnapshot, request: &RequestView<'_>) -> Option<(usize, &'a Rule)> {
    let index = snapshot.generation.tables[snapshot.index].find(request)?;
    Some((index, snapshot.rule(index)?))
}

/// Finds the rule for the method that a preflight asks for, if that rule answers preflights.
fn find_by_preflight<'a>(
    snapshot: &'a ListenerSnapshot,
    head: &RequestHead<'_>,
    request: &RequestView<'_>,
) -> Option<(usize, &'a Rule)> {
    let method = policy::requested_method(head)?;
    let found = find_rule(snapshot, &RequestView { method, ..*request })?;
    snapshot.policies(found.0)?.answers_preflights().then_some(found)
}

/// Whether the first rule that matches would hand on a path that a target or a file system may read as a path that
/// another rule guards. `matched` is the index of that rule. `path` is not decoded.
fn is_ambiguous(
    snapshot: &ListenerSnapshot,
    path: &[u8],
    request: &RequestView<'_>,
    (matched, rule): (usize, &Rule),
) -> bool {
    let Some(guards) = &snapshot.generation.guards[snapshot.index] else { return false };
    let rules = &snapshot.generation.tables[snapshot.index];
    rule.hands_path_on() && guards.find(rules, (matched, rule), path, request).is_some()
}

/// The act of a rule.
#[inline(always)]
fn act_of<'a>(exchange: &Exchange<'a>, rule: &'a Rule, head: &RequestHead<'_>) -> Act<'a> {
    match &rule.action {
        // RFC 9110, section 7.6.2: `Max-Forwards: 0` makes smolgate the final recipient.
        Action::Proxy(_) if hops::max_forwards(head) == Some(0) => match head.known_method {
            Method::Options => Act::Reply(local_reply::options(exchange)),
            _ => Act::Refuse(Failure::new(Reason::RequestMethod)),
        },
        Action::Proxy(_) if hops::is_in_loop(head.fields) => Act::Refuse(Failure::new(Reason::LoopDetected)),
        Action::Proxy(proxy) => match too_large(proxy, head.framing) {
            Some(failure) => Act::Refuse(failure),
            None if !has_target(exchange, rule, proxy, head) => {
                Act::Refuse(Failure::new(Reason::RequestTarget))
            }
            None => Act::Forward(Attempts::new(exchange, rule, proxy, head)),
        },
        Action::Redirect(redirect) => with_host(local_reply::redirect(exchange, head, rule, redirect)),
        // A passed-on connection must stay encrypted, and TLS was terminated here. A stream is no connection.
        Action::Pass(_) if exchange.client.stream.plain().is_none() => {
            Act::Refuse(Failure::misdirected(Misdirection::PassedOn))
        }
        Action::Pass(pass) => Act::Pass(pass),
        Action::Drop => Act::Drop,
        Action::Respond(respond) => Act::Reply(local_reply::respond(exchange, head, rule, respond)),
        Action::Files(files) => file_reply::act(rule, files, head).map_or_else(Act::Refuse, Act::File),
    }
}

/// Whether the target of the request can be sent as its rule rewrites it.
fn has_target(exchange: &Exchange<'_>, rule: &Rule, proxy: &Proxy, head: &RequestHead<'_>) -> bool {
    proxy.rewrite.as_ref().is_none_or(|rewrite| can_rewrite(exchange, rule, rewrite, head))
}

/// The act for a redirect to the host of the request. `None`: it has no host.
fn with_host(reply: Option<Reply<'_>>) -> Act<'_> {
    reply.map_or_else(|| Act::Refuse(Failure::new(Reason::RequestHost)), Act::Reply)
}

/// The failure of a body whose announced length is over the limit. None of it is read then.
fn too_large(proxy: &Proxy, framing: Framing) -> Option<Failure> {
    let (Framing::Length(length), Some(most)) = (framing, proxy.limits.max_body) else { return None };
    let detail = || Detail::Text(format!("{length} bytes announced, {most} allowed"));
    (length > most).then(|| Failure { reason: Reason::BodyTooLarge, detail: detail() })
}
