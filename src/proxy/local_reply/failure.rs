//! A failure as a response.

use std::time::Duration;

use super::head::{ALLOW, write, write_status_line};
use super::send::write_reply;
use crate::generation::ListenerSnapshot;
use crate::http::{Method, status_phrase};
use crate::http1::PartialHead;
use crate::proxy::client::{Client, DRAIN_BYTES, Media, Request};
use crate::proxy::exchange::AfterExchange;
use crate::proxy::record::{ExchangeRecord, Failure};
use crate::proxy::transfer::Body;
use crate::reason::Reason;
use crate::worker::Buffer;

/// How long to wait before trying again, for answers that say so.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Answers a failure, if the client can still be answered, and says what becomes of its connection.
pub(in crate::proxy) async fn fail(
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

impl Media {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_bodies_are_json() {
        for reason in Reason::ALL {
            let body = Media::Json.body(&Failure::new(*reason));
            let value: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(value["reason"], reason.code());
        }
    }
}
