//! `/api/v1`: routes and upstreams that change while the gate runs, and views as locci-proxy has them.
//!
//! Bodies and answers are JSON, and errors too: `{"error": "..."}`. A change becomes a reload with that change, in the
//! gate. This module reads requests and writes answers.

mod change;

mod error;
mod metrics;
mod views;

use http_types::{Method, Response};

use crate::internal_api::control::Control;
use crate::internal_api::message::{Answer, JSON, METRICS, Received, metrics, now, typed};
use crate::internal_api::views as own;
pub(super) use change::{changed, too_many};
use error::error;

/// The path of the list, under which all others stand.
const ROOT: &str = "/api/v1";

/// Lines of the list of paths.
pub(super) const ROWS: [(&str, &str); 1] = [(ROOT, "the control API: changes routes and upstreams, as JSON")];

/// The paths, with their methods, for the list.
const LIST: [(&str, &str); 7] = [
    ("/api/v1/status", "GET, HEAD"),
    ("/api/v1/config", "GET, HEAD"),
    ("/api/v1/metrics", "GET, HEAD"),
    ("/api/v1/routes", "GET, HEAD, POST"),
    ("/api/v1/routes/{name}", "DELETE"),
    ("/api/v1/upstreams", "GET, HEAD, POST"),
    ("/api/v1/upstreams/{name}/servers/{server}", "DELETE"),
];

/// Whether the body of a request to this path is read.
pub(super) fn takes_body(path: &str) -> bool {
    matches!(path, "/api/v1/routes" | "/api/v1/upstreams")
}

/// The part of a path below the root. `None` if it is a path of others.
fn below(path: &str) -> Option<&str> {
    path.strip_prefix(ROOT).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The answer to a request without the token. `None` if the path is one of others.
pub(super) fn unauthorized(path: &str) -> Option<Response> {
    below(path)?;
    let mut response = error(401, "unauthorized");
    response.insert_header("WWW-Authenticate", "Bearer");
    Some(response)
}

/// The answer to a request of this API. `None` if the path is one of others. `has_token` tells that the client knew one.
pub(super) async fn answer(received: &Received, has_token: bool, control: &dyn Control) -> Option<Answer> {
    let rest = below(&received.path)?;
    let Some(segments) = segments(rest) else {
        return Some(now(error(400, "an escape in the path is malformed")));
    };
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (methods, allow): (&[Method], _) = match segments[..] {
        [] | ["status"] | ["config"] | ["metrics"] => (&[Method::Get, Method::Head], "GET, HEAD"),
        ["routes"] | ["upstreams"] => (&[Method::Get, Method::Head, Method::Post], "GET, HEAD, POST"),
        ["routes", _] | ["upstreams", _, "servers", _] => (&[Method::Delete], "DELETE"),
        _ => return Some(now(error(404, "there is nothing at this path; GET /api/v1 lists all of them"))),
    };
    let method = received.request.method();
    if !methods.contains(&method) {
        let mut response = error(405, &format!("this path takes {allow}"));
        response.insert_header("Allow", allow);
        return Some(now(response));
    }
    if matches!(method, Method::Post | Method::Delete) {
        return Some(change::change(received, &segments, has_token, &control.plan()));
    }
    Some(now(match segments[..] {
        ["status"] => typed(200, JSON, views::status(control, control.phase().await)),
        ["config"] => typed(200, JSON, format!("{}\n", control.view_as_json())),
        ["metrics"] => typed(200, METRICS, metrics(control) + &metrics::metrics(control)),
        ["routes"] => typed(200, JSON, own::routes_page(&control.plan())),
        ["upstreams"] => typed(200, JSON, views::upstreams(&control.plan())),
        _ => typed(200, JSON, views::list(&LIST)),
    }))
}

/// The segments of a path, decoded. `None` if an escape is malformed.
fn segments(path: &str) -> Option<Vec<String>> {
    path.split('/').skip(1).map(decoded).collect()
}

fn decoded(segment: &str) -> Option<String> {
    let mut parts = segment.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (escape, rest) = part.split_at_checked(2)?;
        let is_hex = escape.bytes().all(|byte| byte.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(escape, 16).ok().filter(|_| is_hex)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_decoded() {
        let of = |path| segments(path).map(|all| all.join(" "));
        assert_eq!(of("/routes/a%20b%2Fc").as_deref(), Some("routes a b/c"));
        assert_eq!(of("").as_deref(), Some(""));
        for wrong in ["/a%", "/%4", "/%+1", "/%ff", "/%\u{e4}b"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!((below("/api/v10"), below("/api/v1/x"), below("/api/v1")), (None, Some("/x"), Some("")));
    }
}
