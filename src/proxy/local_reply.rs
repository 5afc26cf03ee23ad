//! What we say ourselves: failures with their reason, redirects, fixed responses.

use std::future::poll_fn;
use std::io::{self, IoSlice, Write};
use std::pin::pin;
use std::time::Duration;

use futures_lite::future::poll_once;

use super::client::{Client, ConnectionHandle, Unfinished};
use super::exchange::AfterExchange;
use super::record::ExchangeRecord;
use super::record::Failure;
use super::request::{self, IdleEnd, Request};
use super::transfer::{Body, Incoming};
use super::transfer::{COPIED_MAX, write_message};
use crate::config::plan::{Redirect, RedirectToHttps, Respond};
use crate::generation::ListenerSnapshot;
use crate::http::{Method, Name, RequestHead, Version, list_items, status_phrase};
use crate::http1::PartialHead;
use crate::reason::Reason;
use crate::worker::Buffer;

/// How long to wait before trying again, for answers that say so.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How long a client may make no progress with reading an answer of ours.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Bytes of a request that are read and discarded, so that the connection can be used again, or so that a reset
/// does not overtake the answer.
pub(super) const DRAIN_BYTES: usize = 256 * 1024;

/// How long a connection that ends is read, so that a reset does not overtake the answer.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Bytes that leave for a client as soon as they are written: ten packets (RFC 6928, section 2), less what
/// TLS and TCP add. Of more than that, some may still be here when the connection is to be closed.
const SENT_AT_ONCE: u64 = 13 * 1024;

/// How long a client may take to receive the rest of what was written, and to end its side then.
const LINGER_TIME: Duration = Duration::from_secs(30);

/// The methods that are served here; a target may have its own word on them.
const ALLOW: &[u8] = b"Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n";

/// What own answers come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Media {
    #[default]
    Text,
    Json,
    Html,
}

impl Media {
    /// What `Accept` names first of what we have; text when it names none of it. Weights are not
    /// read: who cares for the form of an error message names it first.
    pub(super) fn of(head: &RequestHead<'_>) -> Self {
        Self::preferred(head.fields.get(Name::Accept).unwrap_or_default())
    }

    fn preferred(accept: &[u8]) -> Self {
        let known = list_items(accept).find_map(|item| {
            let media = item.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            match media {
                b"text/plain" => Some(Self::Text),
                b"application/json" => Some(Self::Json),
                b"text/html" => Some(Self::Html),
                _ => None,
            }
        });
        known.unwrap_or_default()
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::Html => "text/html; charset=utf-8",
        }
    }

    fn body(self, failure: &Failure) -> String {
        let (status, reason) = (failure.reason.status(), failure.reason);
        let (code, explain, phrase) = (reason.code(), reason.explain(), status_phrase(status));
        let detail = failure.public_detail();
        match self {
            Self::Text if detail.is_empty() => format!("{status} {phrase}: {explain} ({code})\n"),
            Self::Text => format!("{status} {phrase}: {explain} ({code}: {detail})\n"),
            Self::Json => {
                let json = serde_json::json!({"status": status, "reason": code, "message": explain, "detail": detail});
                format!("{json}\n")
            }
            // What parsers say of a request holds no character that means something in HTML.
            Self::Html => format!(
                "<!doctype html><meta charset=\"utf-8\"><title>{status} {phrase}</title>\
                 <h1>{status} {phrase}</h1><p>{explain}</p><p>{detail}</p><p><code>{code}</code></p>\n"
            ),
        }
    }
}

/// Sends an answer that is written already: head and body.
///
/// # Errors
/// When the client does not take it.
pub(super) async fn send(
    client: &mut Client,
    record: &mut ExchangeRecord<'_>,
    status: u16,
    answer: [&[u8]; 2],
    keep: bool,
) -> Result<AfterExchange, Failure> {
    record.status = Some(status);
    write_reply(client, record, answer, keep).await.map_err(Failure::of_client)
}

/// Writes an answer, and the end of the connection with it when no request is to follow.
async fn write_reply(
    client: &Client,
    record: &ExchangeRecord<'_>,
    answer: [&[u8]; 2],
    keep: bool,
) -> io::Result<AfterExchange> {
    let stream = &client.stream;
    let slices = &mut answer.map(IoSlice::new)[..1 + usize::from(!answer[1].is_empty())];
    write_message(stream, slices, !keep, &client.timer, ANSWER_TIME).await?;
    stream.message_ended();
    record.sent.add(answer[0].len() + answer[1].len(), stream.worker().now());
    Ok(if keep { AfterExchange::KeepAlive } else { AfterExchange::Close })
}

/// Answers a failure, if the client can still be answered, and says what becomes of its connection.
pub(super) async fn fail(
    client: &mut Client,
    record: &mut ExchangeRecord<'_>,
    request: Option<(&Request, &Body)>,
    failure: Failure,
) -> AfterExchange {
    record.fail(&failure);
    if record.status.is_some() || matches!(failure.reason, Reason::ClientGone | Reason::ClientStalled) {
        return AfterExchange::Cut;
    }
    let keep = request.is_some_and(|(request, body)| {
        // Who waits for leave to send a body sends none after this.
        request.keep_alive && !request.expects && body.is_short(DRAIN_BYTES) && failure.keeps_body_framing()
    });
    let keep = keep && !client.handle.is_draining();
    let mut answer = client.stream.worker().buffer();
    let (media, method) = match request {
        Some((request, _)) => (request.prefers, request.method),
        None => (Media::preferred(PartialHead::of(client.input.unread()).field(b"accept")), Method::Other),
    };
    write_failure(&failure, media, method, keep, record.snapshot, &mut answer);
    record.status = Some(failure.reason.status());
    write_reply(client, record, [answer.unread(), &[]], keep).await.unwrap_or(AfterExchange::Cut)
}

/// Whether a connection stays after the answer to a request. Asked when the head of that answer is written, and
/// not again: it says so. `ends_soon`: the rest of the request is here, or soon read.
pub(super) fn keeps_connection(handle: &ConnectionHandle, request: &Request, ends_soon: bool) -> bool {
    request.keep_alive && ends_soon && !handle.is_draining()
}

/// Ends an exchange on the client's side: reads what is left of the request's body, so that another request
/// may follow, or closes in a way that lets the client read all that it was sent.
pub(super) async fn finish_body(client: &mut Client, body: &mut Body, end: AfterExchange) -> AfterExchange {
    match end {
        AfterExchange::KeepAlive if discard_rest(client, body).await => return AfterExchange::KeepAlive,
        AfterExchange::KeepAlive | AfterExchange::Close => {}
        end => return end,
    }
    body.release(&mut client.input);
    close(client, !body.is_complete()).await;
    AfterExchange::Close
}

/// Reads and discards the rest of the body. Whether it came. The head of the answer has said that the connection
/// stays, so the rest has the time that the next request has: the client may send it as late.
async fn discard_rest(client: &mut Client, body: &mut Body) -> bool {
    let mut idling = None;
    loop {
        let Client { stream, input, .. } = client;
        let mut rest = Incoming { stream, input, body };
        if let Some(ended) = poll_once(pin!(rest.discard())).await {
            return matches!(ended, Ok(true));
        }
        idling.get_or_insert_with(|| client.idle());
        let timeout = client.listener_state.snapshot().http().map(|http| http.idle_timeout);
        let Some(timeout) = timeout else { return false };
        if !matches!(request::wait_for_request(client, timeout).await, IdleEnd::Request) {
            return false;
        }
    }
}

/// A close with unread bytes behind it is a reset, bytes that come after the close cause one, and a reset may
/// overtake the answer (RFC 9112, section 9.6). So what the client still says is read until it ends its side
/// too, within bounds. `talks`: there is more of its request to come.
///
/// A short answer has left by now, and needs none of this when the client has nothing to say.
async fn close(client: &mut Client, talks: bool) {
    let Client { listener_state, stream, input, timer, handle, .. } = client;
    let is_long = handle.bytes_answered() > SENT_AT_ONCE;
    let drains = is_long || talks || !input.is_empty() || stream.has_pending_event();
    if handle.bytes_answered() == 0 || !drains && !stream.is_encrypted() {
        return;
    }
    let ended = async {
        poll_fn(|cx| stream.poll_shutdown(cx)).await?;
        let mut read = 0;
        while drains && read <= DRAIN_BYTES {
            input.consume(input.unread().len());
            match input.fill(stream, usize::MAX).await? {
                0 => break,
                more => read += more,
            }
        }
        Ok(())
    };
    let ended = timer.within(if is_long { LINGER_TIME } else { DRAIN_TIME }, ended);
    // Whatever comes of it, the connection is closed next.
    let _: io::Result<()> = Unfinished::new(listener_state, handle).wait(ended).await;
}

/// Writes the answer to a failure. The details of the system stay in the log: strangers read this.
fn write_failure(
    failure: &Failure,
    media: Media,
    method: Method,
    keep: bool,
    snapshot: &ListenerSnapshot,
    out: &mut Buffer,
) {
    let status = failure.reason.status();
    let body = media.body(failure);
    write_status_line(status, snapshot, out);
    write(out, format_args!("Content-Type: {}\r\nContent-Length: {}\r\n", media.content_type(), body.len()));
    let (error, code) = (failure.reason.proxy_error(), failure.reason.code());
    if error.is_empty() {
        write(out, format_args!("Proxy-Status: smolgate; details=\"{code}\"\r\n"));
    } else {
        write(out, format_args!("Proxy-Status: smolgate; error={error}; details=\"{code}\"\r\n"));
    }
    if status == 503 {
        write(out, format_args!("Retry-After: {}\r\n", RETRY_AFTER.as_secs()));
    }
    if failure.reason == Reason::RequestMethod {
        // RFC 9110, section 15.5.6: a 405 says what would be allowed.
        out.extend(ALLOW);
    }
    if !keep {
        out.extend(b"Connection: close\r\n");
    }
    out.extend(b"\r\n");
    if method != Method::Head {
        out.extend(body.as_bytes());
    }
}

/// Writes the answer of a `redirect` rule.
pub(super) fn write_redirect(
    redirect: &Redirect,
    head: &RequestHead<'_>,
    keep: bool,
    snapshot: &ListenerSnapshot,
    out: &mut Buffer,
) {
    write_status_line(redirect.status, snapshot, out);
    out.extend(b"Location: ");
    out.extend(redirect.to.as_bytes());
    if is_origin(&redirect.to) {
        write_path_and_query(head, out);
    }
    out.extend(b"\r\nContent-Length: 0\r\n");
    write_connection(head, keep, out);
    out.extend(b"\r\n");
}

/// Writes the answer of `redirect_to_https`: the same URL, path and query kept. The status; `None` when
/// the request has no host to be sent to.
pub(super) fn write_redirect_to_https(
    redirect: RedirectToHttps,
    head: &RequestHead<'_>,
    keep: bool,
    snapshot: &ListenerSnapshot,
    out: &mut Buffer,
) -> Option<u16> {
    let host = head.host_key()?;
    let status = redirect.status_for(head.known_method.label());
    write_status_line(status, snapshot, out);
    out.extend(b"Location: https://");
    out.extend(host.as_bytes());
    if redirect.port != 443 {
        write(out, format_args!(":{}", redirect.port));
    }
    write_path_and_query(head, out);
    out.extend(b"\r\nContent-Length: 0\r\n");
    write_connection(head, keep, out);
    out.extend(b"\r\n");
    Some(status)
}

/// Writes the answer to `OPTIONS` that may go no further.
pub(super) fn write_options(
    head: &RequestHead<'_>,
    keep: bool,
    snapshot: &ListenerSnapshot,
    out: &mut Buffer,
) {
    write_status_line(200, snapshot, out);
    out.extend(ALLOW);
    out.extend(b"Content-Length: 0\r\n");
    write_connection(head, keep, out);
    out.extend(b"\r\n");
}

/// Writes the head of the answer of a `respond` rule, and the body behind it if that is short. A longer
/// one is returned: it belongs to the rule, and no exchange has a copy.
pub(super) fn write_respond<'a>(
    respond: &'a Respond,
    head: &RequestHead<'_>,
    keep: bool,
    snapshot: &ListenerSnapshot,
    out: &mut Buffer,
) -> &'a [u8] {
    write_status_line(respond.status, snapshot, out);
    for (name, value) in &respond.headers {
        write(out, format_args!("{name}: {value}\r\n"));
    }
    // RFC 9110, section 8.6: no length in a 204.
    if respond.status != 204 {
        write(out, format_args!("Content-Length: {}\r\n", respond.body.len()));
    }
    write_connection(head, keep, out);
    out.extend(b"\r\n");
    match respond.body.as_bytes() {
        _ if head.known_method == Method::Head || matches!(respond.status, 204 | 304) => &[],
        short if short.len() <= COPIED_MAX => {
            out.extend(short);
            &[]
        }
        long => long,
    }
}

/// What the client asked for; `/` when that was the server itself.
fn write_path_and_query(head: &RequestHead<'_>, out: &mut Buffer) {
    if !head.path_and_query.starts_with(b"/") {
        out.extend(b"/");
    }
    if head.path_and_query != b"*" {
        out.extend(head.path_and_query);
    }
}

/// Scheme and authority and nothing behind them: then the path of the request is kept.
fn is_origin(url: &str) -> bool {
    url.split_once("://").is_some_and(|(_, rest)| !rest.contains(['/', '?', '#']))
}

fn write_status_line(status: u16, snapshot: &ListenerSnapshot, out: &mut Buffer) {
    write(out, format_args!("HTTP/1.1 {status} {}\r\n", status_phrase(status)));
    snapshot.state.date.write(snapshot.worker(), out);
}

/// What HTTP/1.0 and a client whose connection ends must be told.
fn write_connection(head: &RequestHead<'_>, keep: bool, out: &mut Buffer) {
    match (keep, head.version) {
        (false, _) => out.extend(b"Connection: close\r\n"),
        (true, Version::Http10) => out.extend(b"Connection: keep-alive\r\n"),
        (true, Version::Http11) => {}
    }
}

fn write(out: &mut Buffer, text: std::fmt::Arguments<'_>) {
    // A buffer in memory takes everything.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_origin_keeps_the_path() {
        assert!(is_origin("https://example.com"));
        assert!(is_origin("http://example.com:8080"));
        assert!(!is_origin("https://example.com/"));
        assert!(!is_origin("/login"));
    }

    #[test]
    fn json_bodies_are_json() {
        for reason in Reason::ALL {
            let body = Media::Json.body(&Failure::new(*reason));
            let value: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(value["reason"], reason.code());
        }
    }
}
