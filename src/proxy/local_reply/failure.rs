//! A failure as a response.

use std::time::Duration;

use super::reply::{ALLOW, ALLOW_FILES, Reply};
use super::send::send;
use crate::config::plan::{Action, PageValues};
use crate::http::{Method, status_phrase};
use crate::proxy::client::{DRAIN_BYTES, Exchange, KeepAlive, Media};
use crate::proxy::record::Failure;
use crate::reason::Reason;

/// How long a client should wait before it tries again (`Retry-After`).
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Counts and logs a failure, and answers it if the client can still be answered. Returns whether its connection
/// stays open.
pub(in crate::proxy) async fn send_failure(exchange: &mut Exchange<'_>, failure: Failure) -> KeepAlive {
    exchange.fail(&failure);
    if exchange.record.status.get().is_some()
        || matches!(failure.reason, Reason::ClientGone | Reason::ClientStalled)
    {
        return KeepAlive::Cut;
    }
    let reply = reply(exchange, &failure);
    send(exchange, reply).await.unwrap_or(KeepAlive::Cut)
}

/// Writes the response. Details of the system stay in the log, because the response is public.
fn reply(exchange: &Exchange<'_>, failure: &Failure) -> Reply<'static> {
    let (request, status) = (&exchange.request, failure.status());
    // A client that sent `Expect: 100-continue` may never send its body after a final status.
    let ends_soon = !request.expects && exchange.body.is_short(DRAIN_BYTES) && failure.keeps_body_framing();
    let keep = KeepAlive::after(request, ends_soon, &exchange.client.handle);
    if request.prefers == Media::Grpc {
        return grpc_reply(exchange, failure, keep);
    }
    let body = body(exchange, failure);
    let mut reply = Reply::new(exchange, status, keep);
    let content_type = request.prefers.content_type();
    reply.write(format_args!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len()));
    // RFC 9110, section 12.5.5: the form of the body depends on it.
    reply.extend(b"Vary: Accept\r\n");
    write_proxy_status(&mut reply, failure);
    // A policy that says more has written the field.
    if failure.reason.status() == 503 {
        reply.write(format_args!("Retry-After: {}\r\n", RETRY_AFTER.as_secs()));
    }
    if failure.reason == Reason::TargetStarting {
        reply.extend(b"Cache-Control: no-store\r\n");
    }
    if failure.reason == Reason::RequestMethod {
        // RFC 9110, section 15.5.6: a 405 names the methods that are allowed.
        reply.extend(allowed(exchange));
    }
    reply.end_head(exchange);
    if request.method != Method::Head {
        reply.extend(&body);
    }
    reply
}

fn write_proxy_status(reply: &mut Reply<'_>, failure: &Failure) {
    let told = failure.reason.told();
    let (error, code) = (told.proxy_error(), told.code());
    if error.is_empty() {
        reply.write(format_args!("Proxy-Status: smolgate; details=\"{code}\"\r\n"));
    } else {
        reply.write(format_args!("Proxy-Status: smolgate; error={error}; details=\"{code}\"\r\n"));
    }
}

/// Writes the response for a client of gRPC: a head alone, with a status of gRPC in it (Trailers-Only).
#[cold]
fn grpc_reply(exchange: &Exchange<'_>, failure: &Failure, keep: KeepAlive) -> Reply<'static> {
    let mut reply = Reply::new(exchange, 200, keep);
    let (status, told) = (grpc_status(failure.status()), failure.reason.told());
    reply.write(format_args!("Content-Type: application/grpc\r\nGrpc-Status: {status}\r\n"));
    // None of these texts has a byte that the field would have to escape.
    reply.write(format_args!("Grpc-Message: {} ({})\r\n", told.explain(), told.code()));
    write_proxy_status(&mut reply, failure);
    reply.end_head(exchange);
    reply
}

/// The status of gRPC for one of HTTP.
fn grpc_status(status: u16) -> u8 {
    match status {
        // INTERNAL
        400 => 13,
        // UNAUTHENTICATED
        401 => 16,
        // PERMISSION_DENIED
        403 => 7,
        // UNIMPLEMENTED
        404 | 405 => 12,
        // DEADLINE_EXCEEDED
        408 | 504 => 4,
        // RESOURCE_EXHAUSTED
        413 | 429 | 431 => 8,
        // UNAVAILABLE
        502 | 503 => 14,
        // UNKNOWN
        _ => 2,
    }
}

/// The body: a page of the rule or of the listener for browsers, else the text of the gate.
fn body(exchange: &Exchange<'_>, failure: &Failure) -> Vec<u8> {
    let (request, reason) = (&exchange.request, failure.reason.told());
    let pages = match exchange.record.rule() {
        Some(_) => exchange.record.rule_policies().and_then(|policies| policies.pages.as_deref()),
        None => exchange.snapshot.http().and_then(|http| http.pages.as_deref()),
    };
    let page = pages
        .filter(|_| request.prefers == Media::Html)
        .and_then(|pages| pages.of_reason(reason, failure.status()));
    let Some(page) = page else { return request.prefers.body(failure).into_bytes() };
    let request_id = exchange.record.headers.request_id();
    let mut body = Vec::with_capacity(page.text.len());
    let values = PageValues { status: failure.status(), reason: reason.code(), request_id };
    page.write(values, |bytes| body.extend_from_slice(bytes));
    body
}

/// The methods that the rule of the request takes, if it has one.
fn allowed(exchange: &Exchange<'_>) -> &'static [u8] {
    let rule = exchange.record.rule().and_then(|rule| exchange.snapshot.rule(rule));
    match rule.map(|rule| &rule.action) {
        Some(Action::Files(_)) => ALLOW_FILES,
        _ => ALLOW,
    }
}

impl Media {
    fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::Html => "text/html; charset=utf-8",
            Self::Grpc => "application/grpc",
        }
    }

    fn body(self, failure: &Failure) -> String {
        let (status, reason) = (failure.status(), failure.reason.told());
        let (code, explain, phrase) = (reason.code(), reason.explain(), status_phrase(status));
        let detail = failure.public_detail();
        match self {
            Self::Text if detail.is_empty() => format!("{status} {phrase}: {explain} ({code})\n"),
            Self::Text => format!("{status} {phrase}: {explain} ({code}: {detail})\n"),
            Self::Json => {
                let json = serde_json::json!({"status": status, "reason": code, "message": explain, "detail": detail});
                format!("{json}\n")
            }
            Self::Html if reason == Reason::TargetStarting => format!(
                "<!doctype html><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"{}\">\
                 <meta name=\"viewport\" content=\"width=device-width\"><title>Starting</title>\
                 <h1>Starting</h1><p>{explain} This page reloads itself.</p><p><code>{code}</code></p>\n",
                RETRY_AFTER.as_secs()
            ),
            Self::Grpc => String::new(),
            // Details of parsers contain no character that has a meaning in HTML.
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
    fn no_text_of_a_reason_has_a_byte_that_grpc_escapes() {
        for reason in Reason::ALL {
            let text = reason.told().explain();
            assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'%'), "{text}");
        }
    }

    #[test]
    fn json_bodies_are_json() {
        for reason in Reason::ALL {
            let body = Media::Json.body(&Failure::new(*reason));
            let value: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(value["reason"], reason.told().code());
        }
    }
}
