//! Conditions of rules, asked of one request.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::config::plan::{Conditions, NamedCondition, Share, ShareKey};
use crate::http::{Fields, Name, RequestHead, escape};

/// The parts of a request that rules match.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    /// Lower case, without a port and without a dot at the end. Empty if the request has none.
    pub host: &'a [u8],
    /// Decoded for matching, without a query. `*` (asterisk-form) matches only `/`.
    pub path: &'a [u8],
    /// As written, because methods are case-sensitive (RFC 9110, section 9.1).
    pub method: &'a [u8],
    /// The address of the client.
    pub client: IpAddr,
    /// The query as written, without its question mark.
    pub query: &'a [u8],
    /// The field lines.
    pub fields: Fields<'a>,
    /// The path is one of many ways to read the real one. Then no glob matches, because a server may read another path
    /// that only has a prefix in common.
    pub is_reading: bool,
}

impl<'a> RequestView<'a> {
    /// The parts of `head`. `host` and `path` are those of the head, as rules compare them.
    pub fn of(head: &RequestHead<'a>, host: &'a [u8], path: &'a [u8], client: IpAddr) -> RequestView<'a> {
        let (method, fields, query) = (head.method, head.fields, head.query.unwrap_or_default());
        RequestView { host, path, method, client, query, fields, is_reading: false }
    }

    /// The parts that are known when a client has asked for a name in TLS.
    pub fn of_name(host: &'a [u8], client: IpAddr) -> RequestView<'a> {
        RequestView {
            host,
            path: b"/",
            method: b"",
            client,
            query: b"",
            fields: Fields::default(),
            is_reading: false,
        }
    }

    /// The request with one reading of its path.
    pub(super) fn read_as<'p>(&self, path: &'p [u8]) -> RequestView<'p>
    where
        'a: 'p,
    {
        RequestView { path, is_reading: true, ..*self }
    }
}

/// A condition that does not hold. A number is the index among the conditions of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// The client's address is not in a network of `from`.
    From,
    /// The client's address is in a network of `not_from`.
    NotFrom,
    /// No glob and no expression matches the path.
    Path,
    /// A header field is missing, or has other values.
    Header(usize),
    /// A cookie is missing, or has other values.
    Cookie(usize),
    /// A parameter of the query is missing, or has other values.
    Query(usize),
    /// The client is not in the part of all clients.
    Share,
}

impl Unmet {
    /// Half a sentence for a person: the request's value, and the values that the rule accepts.
    pub(super) fn sentence(self, conditions: &Conditions, request: &RequestView<'_>) -> String {
        let client = request.client;
        match self {
            Unmet::From => format!("the client is {client}, the rule wants one from {}", conditions.from),
            Unmet::NotFrom => {
                format!("the client is {client}, the rule wants none from {}", conditions.not_from)
            }
            Unmet::Path => {
                let texts = |texts: Vec<String>| texts.join(" or ");
                let path = String::from_utf8_lossy(request.path);
                match texts(conditions.expressions.iter().map(ToString::to_string).collect()) {
                    expressions if !expressions.is_empty() => {
                        format!("path {path} does not match {expressions}")
                    }
                    _ => {
                        let globs = texts(conditions.paths.iter().map(ToString::to_string).collect());
                        format!("path is {path}, the rule wants {globs} as the whole path")
                    }
                }
            }
            Unmet::Header(at) => {
                let condition = &conditions.headers[at];
                let is_there = request.fields.find(condition.name.as_bytes()).is_some();
                named_sentence("header", condition, is_there)
            }
            Unmet::Cookie(at) => {
                let has_any = request.fields.get(Name::Cookie).is_some();
                named_sentence("cookie", &conditions.cookies[at], has_any)
            }
            Unmet::Query(at) => {
                named_sentence("query parameter", &conditions.query[at], !request.query.is_empty())
            }
            Unmet::Share => {
                let share = conditions.share.as_ref();
                let text = share.map(|share| format!("{share} of clients by {}", share.by.in_words()));
                format!("the rule takes {}, and this one is not among them", text.unwrap_or_default())
            }
        }
    }
}

/// The value of the request is not repeated, because it may be a secret.
fn named_sentence(what: &str, condition: &NamedCondition, has_any: bool) -> String {
    let NamedCondition { name, values: _ } = condition;
    let has = if has_any { "has not the value" } else { "is missing" };
    match condition.wanted().as_str() {
        "*" => format!("{what} {name} is missing, the rule wants it with any value"),
        wanted => format!("{what} {name} {has}, the rule wants {wanted}"),
    }
}

/// The first condition that does not hold. The conditions that cost least are asked first.
pub(super) fn unmet(conditions: &Conditions, request: &RequestView<'_>) -> Option<Unmet> {
    let Conditions { paths, expressions, from, not_from, headers, cookies, query, share } = conditions;
    if !from.is_empty() && !from.contain(request.client) {
        return Some(Unmet::From);
    }
    if not_from.contain(request.client) {
        return Some(Unmet::NotFrom);
    }
    let has_glob = || !request.is_reading && paths.iter().any(|glob| glob.matches(request.path));
    if !paths.is_empty() && !has_glob() {
        return Some(Unmet::Path);
    }
    let missing = |named: &[NamedCondition], has: fn(&NamedCondition, &RequestView<'_>) -> bool| {
        named.iter().position(|condition| !has(condition, request))
    };
    let header = missing(headers, has_header).map(Unmet::Header);
    let cookie = || missing(cookies, has_cookie).map(Unmet::Cookie);
    let parameter = || missing(query, has_parameter).map(Unmet::Query);
    let has_share = |share: &Share| share.takes(share_key(&share.by, request), request.client);
    let outside = || share.as_ref().is_some_and(|share| !has_share(share)).then_some(Unmet::Share);
    let has_match = || !request.is_reading && expressions.iter().any(|one| one.matches(request.path));
    let path = || (!expressions.is_empty() && !has_match()).then_some(Unmet::Path);
    header.or_else(cookie).or_else(parameter).or_else(outside).or_else(path)
}

/// The value by which a client is told apart. `None` if its address is that, or if the request has no such value.
fn share_key<'a>(by: &ShareKey, request: &RequestView<'a>) -> Option<&'a [u8]> {
    match by {
        ShareKey::Client => None,
        ShareKey::Header(name) => request.fields.find(name.as_bytes()),
        ShareKey::Cookie(name) => {
            cookies(request.fields).find_map(|(known, value)| (known == name.as_bytes()).then_some(value))
        }
    }
}

fn has_header(condition: &NamedCondition, request: &RequestView<'_>) -> bool {
    let name = condition.name.as_bytes();
    request
        .fields
        .iter()
        .any(|field| field.name().eq_ignore_ascii_case(name) && condition.takes(field.value()))
}

fn has_cookie(condition: &NamedCondition, request: &RequestView<'_>) -> bool {
    cookies(request.fields).any(|(name, value)| name == condition.name.as_bytes() && condition.takes(value))
}

/// Names and values of cookies. Each is a pair between semicolons (RFC 6265, section 4.2.1).
pub(super) fn cookies<'a>(fields: Fields<'a>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let lines = fields.iter().filter(|field| field.known() == Name::Cookie);
    let pairs = lines.flat_map(|line| line.value().split(|byte| *byte == b';'));
    pairs.map(|pair| {
        let (name, value) = pair_of(pair);
        (name.trim_ascii(), value.trim_ascii())
    })
}

fn has_parameter(condition: &NamedCondition, request: &RequestView<'_>) -> bool {
    request.query.split(|byte| *byte == b'&').any(|pair| {
        let (name, value) = pair_of(pair);
        *decoded(name) == *condition.name.as_bytes() && condition.takes(&decoded(value))
    })
}

/// Splits `name=value`. The value of a name alone is empty.
fn pair_of(pair: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'=', pair);
    (&pair[..end.unwrap_or(pair.len())], end.map_or(&[], |end| &pair[end + 1..]))
}

/// A part of a query as forms write it: `+` for a space, and escapes. Allocates only if there is something to decode.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'+', b'%', text).is_none() {
        return text.into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        let escaped = escape(rest);
        bytes.push(escaped.unwrap_or(if byte == b'+' { b' ' } else { byte }));
        rest = if escaped.is_some() { &rest[3..] } else { behind };
    }
    bytes.into()
}
