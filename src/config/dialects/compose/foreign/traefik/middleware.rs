//! The middlewares of a router: those that a label expresses, those that can be left out, and all others.

use super::table::{Kind, Table, local};
use crate::config::dialects::compose::foreign::entry::listed;

/// The effect of the middlewares of a router.
#[derive(Default)]
pub(super) struct Effect {
    /// Prefixes that are removed from the path, the first that fits.
    pub(super) strip: Option<Vec<String>>,
    /// Requests in the clear are redirected to HTTPS.
    pub(super) to_https: bool,
    pub(super) max_body: Option<String>,
    /// Middlewares without which the route would mean something else.
    pub(super) missing: Vec<String>,
}

/// Middlewares of one router, with those of chains.
const MIDDLEWARES_MAX: usize = 64;

/// Kinds that change no route, and the reason why they have no counterpart.
const LEFT_OUT: [(&str, &str); 10] = [
    ("headers", "the gate sets no header fields"),
    ("compress", "the gate does not compress"),
    ("ratelimit", "the gate has no rate limits"),
    ("inflightreq", "the gate does not limit the requests of a route"),
    ("retry", "a connection that fails is tried at the next target"),
    ("circuitbreaker", "the gate has no circuit breaker"),
    ("errors", "the answers of a service are passed on as they are"),
    ("contenttype", "the gate sets no header fields"),
    ("grpcweb", "the gate speaks HTTP/1.1 alone"),
    ("buffering", "bodies are streamed; only `maxRequestBodyBytes` is `smolgate.max_body`"),
];

/// The reason why a definition has no counterpart. `None` for those that a route expresses.
pub(super) fn why(kind: &str) -> Option<&'static str> {
    let left_out = LEFT_OUT.iter().find(|(known, _)| *known == kind).map(|(_, why)| *why);
    match kind {
        "stripprefix" | "redirectscheme" | "chain" => None,
        _ => Some(left_out.unwrap_or("no label means this: a route with it is not ready")),
    }
}

/// The effect of a list of middlewares.
pub(super) fn effect(table: &Table<'_>, list: &str) -> Effect {
    let mut effect = Effect::default();
    let mut waiting: Vec<String> = listed(list).map(str::to_owned).collect();
    waiting.reverse();
    let mut count = 0;
    while let Some(name) = waiting.pop() {
        count += 1;
        if count > MIDDLEWARES_MAX {
            effect.missing.push("it has too many middlewares".to_owned());
            break;
        }
        let chained = add(table, &name, &mut effect);
        waiting.extend(chained.into_iter().rev());
    }
    effect
}

/// Adds the effect of one middleware. Returns the middlewares of a chain.
fn add(table: &Table<'_>, name: &str, effect: &mut Effect) -> Vec<String> {
    let item = local(name).and_then(|name| table.any(Kind::Middleware, &name));
    let Some(item) = item else {
        effect.missing.push(format!("the middleware `{name}` is not defined in this file"));
        return Vec::new();
    };
    let mut kinds: Vec<&str> =
        item.fields().map(|field| field.split(['.', '[']).next().unwrap_or(field)).collect();
    kinds.dedup();
    let value = |field: &str| item.get(field).unwrap_or_default();
    match kinds.as_slice() {
        ["stripprefix"] if effect.strip.is_none() => {
            effect.strip = Some(listed(value("stripprefix.prefixes")).map(str::to_owned).collect());
        }
        ["redirectscheme"] if value("redirectscheme.scheme") == "https" => effect.to_https = true,
        ["chain"] => return listed(value("chain.middlewares")).map(str::to_owned).collect(),
        ["buffering"] => {
            let is_size = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let size = Some(value("buffering.maxrequestbodybytes")).filter(is_size);
            effect.max_body = size.filter(|size| *size != "0").map(str::to_owned).or(effect.max_body.take());
        }
        [kind] if LEFT_OUT.iter().any(|(known, _)| known == kind) => {}
        _ => {
            effect.missing.push(format!("the middleware `{name}` ({}) has no counterpart", kinds.join(", ")))
        }
    }
    Vec::new()
}
