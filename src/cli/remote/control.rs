//! `status`, `add-route`, `remove-route`, `add-upstream` and `remove-upstream`: the control API of a running gate.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::call::{change, ended, unexpected};
use crate::cli::output;
use crate::cli::words::{Call, ControlVerb, Route, RouteName, Server};

/// The longest change. It is a reload.
const TIME_MAX: Duration = Duration::from_secs(300);

/// Asks the gate, and prints its answer.
pub fn control(verb: &ControlVerb) -> ExitCode {
    match verb {
        ControlVerb::Status(call) => status(call),
        ControlVerb::AddRoute(Route { call, name, pattern, upstream, methods, strip_prefix, listener }) => {
            let body = json!({ "name": name, "path_pattern": pattern, "upstream": upstream });
            let more = [
                ("methods", (!methods.is_empty()).then(|| json!(methods))),
                ("strip_prefix", strip_prefix.then(|| json!(true))),
                ("listener", listener.as_ref().map(|listener| json!(listener))),
            ];
            send(call, "POST", "/api/v1/routes", &with(body, more))
        }
        ControlVerb::RemoveRoute(RouteName { call, name, listener }) => {
            let listener = listener.as_ref().map(|name| format!("?listener={}", escaped(name)));
            let path = format!("/api/v1/routes/{}{}", escaped(name), listener.unwrap_or_default());
            send(call, "DELETE", &path, "")
        }
        ControlVerb::AddUpstream(Server { call, name, server }) => {
            let body = json!({ "name": name, "server": server }).to_string();
            send(call, "POST", "/api/v1/upstreams", &body)
        }
        ControlVerb::RemoveUpstream(Server { call, name, server }) => {
            let path = format!("/api/v1/upstreams/{}/servers/{}", escaped(name), escaped(server));
            send(call, "DELETE", &path, "")
        }
    }
}

/// The body with these keys too.
fn with<const N: usize>(body: Value, more: [(&str, Option<Value>); N]) -> String {
    let mut body: Map<String, Value> = body.as_object().cloned().unwrap_or_default();
    body.extend(more.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    Value::Object(body).to_string()
}

/// Prints the status. The exit code is 1 if the gate does not run as it should.
fn status(call: &Call) -> ExitCode {
    match change(call, ("GET", "/api/v1/status", ""), TIME_MAX) {
        Err(code) => code,
        Ok((200, body)) => {
            let is_running =
                serde_json::from_str::<Value>(&body).is_ok_and(|status| status["status"] == "running");
            let printed = output::result(&ended(body));
            if is_running { printed } else { ExitCode::from(output::INVALID) }
        }
        Ok((status, body)) => output::failure(output::UNABLE, &unexpected(status, &body)),
    }
}

/// Asks for a change. The exit code is 1 if the gate refuses it. Then nothing has changed.
fn send(call: &Call, method: &str, path: &str, body: &str) -> ExitCode {
    match change(call, (method, path, body), TIME_MAX) {
        Err(code) => code,
        Ok((200 | 201 | 204, body)) if body.is_empty() => ExitCode::SUCCESS,
        Ok((200 | 201 | 204, body)) => output::result(&ended(body)),
        Ok((400 | 403 | 404 | 409 | 415 | 422, body)) => {
            let why = serde_json::from_str::<Value>(&body).ok();
            let why = why.as_ref().and_then(|body| body["error"].as_str()).unwrap_or(&body);
            output::failure(output::INVALID, why.trim_start_matches("error: "))
        }
        Ok((status, body)) => output::failure(output::UNABLE, &unexpected(status, &body)),
    }
}

/// A name as a segment of a path, or as a value of a query.
fn escaped(name: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b':' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        assert_eq!(escaped("a b/c"), "a%20b%2Fc");
        assert_eq!(escaped("[::1]:80"), "%5B::1%5D:80");
    }
}
