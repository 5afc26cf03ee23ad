//! Cross-origin requests (Fetch standard, "CORS protocol"): the answer to a preflight, and the fields of every response.

use super::request::PolicyRequest;
use super::state::PolicyState;
use crate::config::plan::Cors;
use crate::http::{Method, Name, RequestHead, is_token, list_items};

/// The method that a preflight asks for: `OPTIONS` with `Origin` and `Access-Control-Request-Method`.
pub fn requested_method<'b>(head: &RequestHead<'b>) -> Option<&'b [u8]> {
    if head.known_method != Method::Options || head.fields.get(Name::Origin).is_none() {
        return None;
    }
    head.fields.find(b"access-control-request-method").filter(|method| is_token(method))
}

/// Writes the fields of the response. Tells whether the request is a preflight, which gets no other answer.
pub(super) fn answers_preflight(cors: &Cors, request: &PolicyRequest<'_>, state: &mut PolicyState) -> bool {
    let method = requested_method(request.head);
    state.own_cors();
    let vary: &[u8] = match method {
        Some(_) => b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        None => b"Origin",
    };
    if method.is_some() || !cors.allows_any() {
        state.respond("Vary", vary);
    }
    let Some(origin) = allowed_origin(cors, request.head) else { return method.is_some() };
    state.respond("Access-Control-Allow-Origin", if cors.allows_any() { b"*" } else { origin });
    if cors.credentials {
        state.respond("Access-Control-Allow-Credentials", b"true");
    }
    match method {
        Some(method) => respond_to_preflight(cors, request.head, method, state),
        None if cors.expose.is_empty() => {}
        None => state.respond_with_list("Access-Control-Expose-Headers", &cors.expose),
    }
    method.is_some()
}

/// The origin of the request, if its pages may read responses. Of two, neither counts.
fn allowed_origin<'b>(cors: &Cors, head: &RequestHead<'b>) -> Option<&'b [u8]> {
    let mut origins = head.fields.iter().filter(|field| field.known() == Name::Origin);
    let origin = origins.next().filter(|_| origins.next().is_none())?.value();
    cors.allows(origin).then_some(origin)
}

fn respond_to_preflight(cors: &Cors, head: &RequestHead<'_>, method: &[u8], state: &mut PolicyState) {
    match &cors.methods[..] {
        [] => state.respond("Access-Control-Allow-Methods", method),
        methods => state.respond_with_list("Access-Control-Allow-Methods", methods),
    }
    // The names are spelled out, since `*` never covers `Authorization`.
    let asked = head.fields.find_list(b"access-control-request-headers").unwrap_or_default();
    match &cors.headers[..] {
        [] if asked.is_empty() || !list_items(&asked).all(is_token) => {}
        [] => state.respond("Access-Control-Allow-Headers", &asked),
        headers => state.respond_with_list("Access-Control-Allow-Headers", headers),
    }
    if let Some(max_age) = cors.max_age {
        state.respond_with("Access-Control-Max-Age", format_args!("{}", max_age.as_secs()));
    }
}
