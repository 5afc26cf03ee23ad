//! Requests as they were received, and the forms of answers.

use http_types::{Request, Response, StatusCode};

use crate::config::plan::Change;
use crate::internal_api::control::{CertificateQuestion, Control};
use crate::log::access::TailReader;
use crate::metrics::{ProcessStats, render_endpoints};

const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";

/// A request.
pub(super) struct Received {
    pub(super) request: Request,
    /// The path as it was sent. That of `request` is rewritten by the library, without dot segments.
    pub(super) path: String,
    /// The body, if the path takes one.
    #[allow(dead_code, reason = "the control API alone reads it")]
    pub(super) body: Vec<u8>,
}

/// The answer to a request: a response, or work that has to be done first.
pub(super) enum Answer {
    Now(Box<Response>),
    Reload {
        restart: bool,
    },
    #[allow(dead_code, reason = "the control API alone asks for it")]
    Change(Change),
    Certificates(CertificateQuestion),
    /// The response has no end before the reader or the gate leaves.
    Tail(Box<TailReader>),
}

/// The media type of the page of metrics.
pub(super) const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page of metrics.
pub(super) fn metrics(control: &dyn Control) -> String {
    let mut page = control.counters().render(ProcessStats::read().as_ref());
    page.push_str(&render_endpoints(&control.endpoints()));
    page
}

pub(super) fn now(response: Response) -> Answer {
    Answer::Now(Box::new(response))
}

/// A text response. A missing line end is added.
pub(super) fn text(status: u16, body: &str) -> Response {
    let end = if body.ends_with('\n') { "" } else { "\n" };
    typed(status, TEXT, format!("{body}{end}"))
}

pub(super) fn typed(status: u16, mime: &str, body: String) -> Response {
    let status = StatusCode::try_from(status).unwrap_or(StatusCode::InternalServerError);
    let mut response = Response::new(status);
    response.set_body(body);
    for (name, value) in [
        ("Content-Type", mime),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        // A connection has one request, so every limit on a request is a limit on a connection too.
        ("Connection", "close"),
    ] {
        response.insert_header(name, value);
    }
    response
}
