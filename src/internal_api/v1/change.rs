//! Requests that change something.

use http_types::Response;
use serde_json::{Map, Value, json};

use crate::config::plan::{Change, Conflict, Plan};
use crate::internal_api::authorization;
use crate::internal_api::control::{ChangeError, Changed};
use crate::internal_api::message::{Answer, JSON, Received, now, typed};

use super::error::error;

/// The change that a request asks for, or the reason why it may not.
pub(super) fn change(received: &Received, segments: &[&str], has_token: bool, plan: &Plan) -> Answer {
    if authorization::may_be_cross_site(&received.request) {
        return now(error(403, "a page of another site may not change anything"));
    }
    if plan.internal_api.edits.is_none() {
        let why = "nothing may be changed here: write `edits: memory` or `edits: FILE` under `internal_api`";
        return now(error(403, why));
    }
    if !has_token && plan.internal_api.is_open() {
        let why = "other machines reach this address, so a change needs a token: set `token` of `internal_api`, or \
                   `api_key` of `control_api`";
        return now(error(403, why));
    }
    match asked(received, segments) {
        Ok(change) => Answer::Change(change),
        Err((status, why)) => now(error(status, &why)),
    }
}

fn asked(received: &Received, segments: &[&str]) -> Result<Change, (u16, String)> {
    Ok(match *segments {
        ["routes"] => Change::AddRoute(body(received)?),
        ["upstreams"] => Change::AddUpstream(body(received)?),
        ["upstreams", name, _, server] => {
            Change::RemoveServer { name: name.to_owned(), server: server.to_owned() }
        }
        [_, name] => Change::RemoveRoute { name: name.to_owned(), listener: listener(received)? },
        _ => return Err((404, "there is nothing at this path".into())),
    })
}

/// The body, a JSON object.
fn body(received: &Received) -> Result<Map<String, Value>, (u16, String)> {
    let media = received.request.header("content-type").map(|values| values.last().as_str().to_owned());
    let media = media.unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        return Err((415, "send the body as JSON, with `Content-Type: application/json`".into()));
    }
    match serde_json::from_slice(&received.body) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err((400, "the body is JSON, but no object: write {\"name\": ...}".into())),
        Err(why) => Err((400, format!("the body is not JSON: {why}"))),
    }
}

/// `?listener=NAME`.
fn listener(received: &Received) -> Result<Option<String>, (u16, String)> {
    let pairs: Vec<_> = received.request.url().query_pairs().collect();
    match &pairs[..] {
        [] => Ok(None),
        [(key, name)] if key == "listener" => Ok(Some(name.to_string())),
        _ => Err((400, "the only parameter is listener=NAME".into())),
    }
}

/// The answer after a change.
pub(crate) fn changed(change: &Change, result: Result<Changed, ChangeError>) -> Response {
    let is_removal = matches!(change, Change::RemoveServer { .. } | Change::RemoveRoute { .. });
    let Changed { is_made, generation } = match result {
        Ok(changed) => changed,
        Err(ChangeError::Stopping) => return error(503, "the gate is stopping"),
        Err(ChangeError::Refused { conflict, text }) => {
            return error(
                match conflict {
                    Some(Conflict::Missing) => 404,
                    // A rule needs what is to be removed.
                    None if is_removal => 409,
                    Some(Conflict::Taken) => 409,
                    None => 422,
                },
                &text,
            );
        }
    };
    match change {
        Change::AddRoute(body) | Change::AddUpstream(body) => {
            let mut body = body.clone();
            body.insert("generation".into(), json!(generation));
            let status = if is_made { 201 } else { 200 };
            typed(status, JSON, format!("{}\n", Value::Object(body)))
        }
        Change::RemoveRoute { .. } | Change::RemoveServer { .. } => typed(204, JSON, String::new()),
    }
}

/// The answer to a change that has to be asked for again, because too many wait.
pub(crate) fn too_many() -> Response {
    let mut response = error(503, "a change is being made and others are waiting; ask again later");
    let _ = response.insert_header("Retry-After", "1");
    response
}
