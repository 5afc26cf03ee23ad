//! The messages of calls, and those of answers, with their short keys.

use std::borrow::Cow;

pub use super::value::Texts;
use super::value::{MessageError, Value};

/// A request, as plugins see it.
#[derive(Clone, Debug, Default)]
pub struct RequestInfo {
    /// The name of the rule.
    pub route: Vec<u8>,
    /// The method.
    pub method: Vec<u8>,
    /// The path, decoded.
    pub path: Vec<u8>,
    /// The query, as it came.
    pub query: Vec<u8>,
    /// The host without a port.
    pub domain: Vec<u8>,
    /// The host, as it came.
    pub host: Vec<u8>,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub protocol: Vec<u8>,
    /// The address and the port of the client.
    pub client: Vec<u8>,
    /// Bytes of the body. -1 if that is not known.
    pub length: i64,
    /// The fields, in canonical spelling, each with its first value.
    pub headers: Texts,
    /// The first bytes of the body.
    pub body: Vec<u8>,
    /// The part of the host that a pattern took.
    pub match_domain: Vec<u8>,
    /// The rest of the host that `**` took.
    pub match_glob: Vec<u8>,
    /// The pattern of the path.
    pub match_path: Vec<u8>,
    /// Variables of the rule.
    pub variables: Texts,
    /// The target.
    pub target: Vec<u8>,
}

/// A connection that is passed on.
#[derive(Clone, Debug, Default)]
pub struct ConnectionInfo {
    /// The name of the rule.
    pub route: Vec<u8>,
    /// The server name of TLS.
    pub domain: Vec<u8>,
    /// The address and the port of the client.
    pub client: Vec<u8>,
    /// The part of the name that a pattern took.
    pub match_domain: Vec<u8>,
    /// The rest of the name that `**` took.
    pub match_glob: Vec<u8>,
}

/// The end of an exchange.
#[derive(Clone, Debug, Default)]
pub struct DisconnectInfo {
    /// The name of the rule.
    pub route: Vec<u8>,
    /// The target. Empty if there was none.
    pub target: Vec<u8>,
    /// The address and the port of the client.
    pub client: Vec<u8>,
    /// Bytes from the client.
    pub received: i64,
    /// Bytes to the client.
    pub sent: i64,
    /// Milliseconds.
    pub duration: i64,
}

/// An entry of a message, left out without a value.
fn text<'a>(map: &mut Vec<(Cow<'a, [u8]>, Value<'a>)>, key: &'static str, value: &'a [u8]) {
    if !value.is_empty() {
        always(map, key, Value::text(value));
    }
}

fn always<'a>(map: &mut Vec<(Cow<'a, [u8]>, Value<'a>)>, key: &'static str, value: Value<'a>) {
    map.push((Cow::Borrowed(key.as_bytes()), value));
}

impl RequestInfo {
    /// The message.
    pub fn value(&self) -> Value<'_> {
        let Self {
            route,
            method,
            path,
            query,
            domain,
            host,
            protocol,
            client,
            length,
            headers,
            body,
            match_domain,
            match_glob,
            match_path,
            variables,
            target,
        } = self;
        let mut map = Vec::with_capacity(16);
        always(&mut map, "r", Value::text(route));
        always(&mut map, "m", Value::text(method));
        always(&mut map, "p", Value::text(path));
        text(&mut map, "q", query);
        always(&mut map, "d", Value::text(domain));
        text(&mut map, "ho", host);
        text(&mut map, "pr", protocol);
        always(&mut map, "a", Value::text(client));
        if *length != 0 {
            always(&mut map, "cl", Value::Int64(*length));
        }
        always(&mut map, "h", Value::texts(headers));
        if !body.is_empty() {
            always(&mut map, "bd", Value::Binary(Cow::Borrowed(body)));
        }
        text(&mut map, "md", match_domain);
        text(&mut map, "mg", match_glob);
        text(&mut map, "mp", match_path);
        if !variables.is_empty() {
            always(&mut map, "v", Value::texts(variables));
        }
        text(&mut map, "tg", target);
        Value::Map(map)
    }
}

impl ConnectionInfo {
    /// The message.
    pub fn value(&self) -> Value<'_> {
        let Self { route, domain, client, match_domain, match_glob } = self;
        let mut map = Vec::with_capacity(5);
        always(&mut map, "r", Value::text(route));
        always(&mut map, "d", Value::text(domain));
        always(&mut map, "a", Value::text(client));
        text(&mut map, "md", match_domain);
        text(&mut map, "mg", match_glob);
        Value::Map(map)
    }
}

impl DisconnectInfo {
    /// The message.
    pub fn value(&self) -> Value<'_> {
        let Self { route, target, client, received, sent, duration } = self;
        let mut map = Vec::with_capacity(6);
        always(&mut map, "r", Value::text(route));
        text(&mut map, "tg", target);
        always(&mut map, "a", Value::text(client));
        always(&mut map, "rx", Value::Int64(*received));
        always(&mut map, "tx", Value::Int64(*sent));
        always(&mut map, "ms", Value::Int64(*duration));
        Value::Map(map)
    }
}

/// The message of [`Hook::Response`](super::frame::Hook::Response).
pub fn response_value<'a>(request: &'a RequestInfo, status: u16, headers: &'a Texts) -> Value<'a> {
    let mut response = Vec::with_capacity(2);
    always(&mut response, "s", Value::Int(status.into()));
    always(&mut response, "h", Value::texts(headers));
    let mut map = Vec::with_capacity(2);
    always(&mut map, "req", request.value());
    always(&mut map, "resp", Value::Map(response));
    Value::Map(map)
}

/// The answer to [`Hook::Request`](super::frame::Hook::Request).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestAnswer {
    /// The request goes on.
    pub ok: bool,
    /// The connection is closed without a response.
    pub drop: bool,
    /// The fallback of the rule acts.
    pub fallback: bool,
    /// The status of the response. 0 if there is none.
    pub status: i64,
    /// The body of the response.
    pub body: Vec<u8>,
    /// Fields: for the target if the request goes on, else of the response.
    pub headers: Texts,
    /// The speed of the exchange.
    pub speed: Option<SpeedAnswer>,
    /// The query is removed.
    pub clean_query: bool,
    /// The path that takes the place of that of the request. Empty if there is none.
    pub path: Vec<u8>,
}

/// A speed in megabits a second. 0 stands for no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpeedAnswer {
    /// To the client.
    pub download: f64,
    /// From the client.
    pub upload: f64,
    /// Exchanges with the same name share the speed.
    pub group: Vec<u8>,
}

/// The answer to [`Hook::Response`](super::frame::Hook::Response).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponseChange {
    /// The status. 0 if it stays.
    pub status: i64,
    /// Fields that are set.
    pub headers: Texts,
    /// Fields that are removed first.
    pub remove: Vec<Vec<u8>>,
}

impl RequestAnswer {
    /// Reads the answer.
    ///
    /// # Errors
    /// It is none.
    pub fn of(value: &Value<'_>) -> Result<Self, MessageError> {
        is_map(value)?;
        let speed = value.get("sp");
        let speed = match speed {
            Value::Nil => None,
            Value::Map(_) => Some(SpeedAnswer {
                download: speed.float("dl")?,
                upload: speed.float("ul")?,
                group: speed.bytes("gk")?.to_vec(),
            }),
            _ => return Err(MessageError::Kind("sp")),
        };
        Ok(Self {
            ok: value.flag("ok")?,
            drop: value.flag("dr")?,
            fallback: value.flag("fb")?,
            status: value.int("s")?,
            body: value.bytes("b")?.to_vec(),
            headers: value.text_map("h")?,
            speed,
            clean_query: value.flag("cq")?,
            path: value.bytes("rp")?.to_vec(),
        })
    }
}

impl ResponseChange {
    /// Reads the answer.
    ///
    /// # Errors
    /// It is none.
    pub fn of(value: &Value<'_>) -> Result<Self, MessageError> {
        is_map(value)?;
        let (status, headers) = (value.int("s")?, value.text_map("h")?);
        Ok(Self { status, headers, remove: value.text_list("rm")? })
    }
}

/// Reads the answer to [`Hook::Connect`](super::frame::Hook::Connect): whether the connection is passed on.
///
/// # Errors
/// It is none.
pub fn is_accepted(value: &Value<'_>) -> Result<bool, MessageError> {
    is_map(value)?;
    value.flag("ok")
}

fn is_map(value: &Value<'_>) -> Result<(), MessageError> {
    if matches!(value, Value::Map(_)) { Ok(()) } else { Err(MessageError::Malformed) }
}
