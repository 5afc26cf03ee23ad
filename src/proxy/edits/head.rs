//! Heads with the changes of their rule.

use std::io::Write;

use super::values::{ClientValues, with_values};
use crate::config::plan::{Rule, RuleHeaders};
use crate::http::{RequestHead, TARGET_MARK, reads_alike};
use crate::proxy::record::{ExchangeRecord, HeaderState, Identities};
use crate::worker::{Buffer, Worker};

/// Begins the changes for a request of a rule that has some: gives it an identity, and writes the lines for its
/// response. `is_trusted` tells that the peer may name the client.
#[cold]
pub(in crate::proxy) fn begin(
    state: &mut HeaderState,
    worker: &Worker,
    rule: &Rule,
    head: &RequestHead<'_>,
    (client, is_trusted): (ClientValues<'_>, bool),
) {
    let Some(headers) = &rule.headers else { return };
    let given = |field: &str| head.fields.find(field.as_bytes()).filter(|_| is_trusted);
    // Any client may send one: no decision depends on it.
    let trace = headers.traceparent.then(|| head.fields.find(b"traceparent"));
    state.begin(headers.request_id.as_ref().map(|id| given(&id.field)), trace);
    write_response_lines(state, worker, rule, head, client);
}

/// Writes the lines for the response of a request of a rule that has changes. It is done again when the user is known.
#[cold]
pub(in crate::proxy) fn write_response_lines(
    state: &mut HeaderState,
    worker: &Worker,
    rule: &Rule,
    head: &RequestHead<'_>,
    client: ClientValues<'_>,
) {
    let Some(headers) = &rule.headers else { return };
    let edits = headers.of_response(client.scheme == "https");
    let mut lines = worker.buffer();
    with_values(rule, head, client, state.identities(), |values| {
        edits.write_lines(values, |bytes| lines.extend(bytes));
    });
    state.set_lines(lines.unread());
}

/// The head for a target with the changes of its rule.
#[cold]
pub(in crate::proxy) fn edited_request(
    worker: &Worker,
    written: &Buffer,
    rule: &Rule,
    headers: &RuleHeaders,
    head: &RequestHead<'_>,
    (client, identities): (ClientValues<'_>, Identities<'_>),
) -> Buffer {
    let mut lines = worker.buffer();
    with_values(rule, head, client, identities, |values| {
        headers.request.write_lines(values, |bytes| lines.extend(bytes));
    });
    let mut out = worker.buffer();
    // A target such as CGI takes a name with other marks for the same, and a client chooses how it writes one.
    headers.request.apply(written.unread(), lines.unread(), reads_alike, |line| {
        // Lines come one by one. The state of another trace means nothing in a new one (W3C Trace Context, section 3.3).
        if !(identities.is_new_trace && is_tracestate(line)) {
            out.extend(line);
        }
    });
    out
}

/// Whether a line of a head is a field `tracestate`.
fn is_tracestate(line: &[u8]) -> bool {
    const START: &[u8] = b"tracestate:";
    line.get(..START.len()).is_some_and(|start| start.eq_ignore_ascii_case(START))
}

/// The head of a response, and what stands behind it, with the changes of the rule.
#[cold]
pub(in crate::proxy) fn edited_response(
    record: &ExchangeRecord<'_>,
    written: &Buffer,
    headers: &RuleHeaders,
    is_encrypted: bool,
) -> Buffer {
    let worker = record.snapshot.worker();
    let (mut lines, mut out) = (worker.buffer(), worker.buffer());
    let mut parts = record.headers.lines().split(|byte| *byte == TARGET_MARK);
    lines.extend(parts.next().unwrap_or_default());
    for part in parts {
        if let Some(target) = &record.target {
            // Writing into a buffer in memory cannot fail.
            let _ = write!(lines, "{target}");
        }
        lines.extend(part);
    }
    let edits = headers.of_response(is_encrypted);
    let is_same = <[u8]>::eq_ignore_ascii_case;
    edits.apply(written.unread(), lines.unread(), is_same, |bytes| out.extend(bytes));
    out
}
