//! `health` of an upstream.

use std::sync::Arc;

use super::headers;
use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::Spanned;
use crate::config::plan::{Health, HealthRequest};
use crate::config::syntax::{Node, Value};
use crate::config::values::{ValueError, balance, scalar, target};

/// Keys that go with a request.
const OF_REQUESTS: [&str; 5] = ["method", "host", "headers", "status", "body"];

/// `health: /path`, `health: tcp`, or a mapping. Its place is that of the path, if there is one.
pub(super) fn health(decoder: &mut Decoder<'_>, node: Node) -> Option<Spanned<Health>> {
    let span = node.span;
    if !matches!(node.value, Value::Map(_)) {
        let request = decoder.parsed(node, path_or_tcp)?.value;
        return Some(Spanned { value: Health { request, ..Health::default() }, span });
    }
    let mut fields = MappingReader::open(decoder, node, "`health`")?;
    let path = fields.at("path");
    if path.is_none() {
        fields.not_here(&OF_REQUESTS, "means nothing without `path`", "a connection alone has no request");
    }
    let request = fields.parsed("path", health_path);
    let method = fields.parsed("method", method).map_or("GET", |method| method.value);
    let host = fields.parsed("host", balance::host).map(|host| host.value);
    let headers = fields.field("headers", headers).unwrap_or_default();
    let read = |decoder: &mut Decoder<'_>, node| Some(decoder.parsed_many(node, balance::any_status));
    let status = fields.field("status", read).unwrap_or_default();
    let status = status.into_iter().map(|status| status.value).collect();
    let body = fields.field("body", Decoder::text).map(|text| text.text.into());
    let request = request.map(|path| HealthRequest { path: path.value, method, host, headers, status, body });
    let usual = Health::default();
    let health = Health {
        request,
        port: fields.parsed("port", target::port).map(|port| port.value),
        interval: fields.parsed("interval", scalar::timeout).map_or(usual.interval, |time| time.value),
        timeout: fields.parsed("timeout", scalar::timeout).map_or(usual.timeout, |time| time.value),
        rise: fields.parsed("rise", balance::failures).map_or(usual.rise, |count| count.value),
        fall: fields.parsed("fall", balance::failures).map_or(usual.fall, |count| count.value),
    };
    fields.close();
    Some(Spanned { value: health, span: path.unwrap_or(span) })
}

/// The fields of the request. `Host` has a key of its own.
fn headers(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<(Arc<str>, Arc<str>)>> {
    if let Value::Map(entries) = &node.value
        && let Some((name, _)) = entries.iter().find(|(name, _)| name.value.eq_ignore_ascii_case("host"))
    {
        decoder.report.error_hint(name.span, "`Host` has a key of its own", "write `host` beside `headers`");
        return None;
    }
    headers::headers(decoder, node)
}

fn path_or_tcp(text: &str) -> Result<Option<HealthRequest>, ValueError> {
    if text == "tcp" {
        return Ok(None);
    }
    let path = health_path(text)?;
    let (headers, status) = (Vec::new(), Vec::new());
    Ok(Some(HealthRequest { path, method: "GET", host: None, headers, status, body: None }))
}

fn health_path(text: &str) -> Result<Arc<str>, ValueError> {
    let is_path = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if is_path {
        Ok(text.into())
    } else {
        Err(ValueError::hint("is not a path to ask for", "write \"/health\" or tcp"))
    }
}

fn method(text: &str) -> Result<&'static str, ValueError> {
    match text {
        "GET" => Ok("GET"),
        "HEAD" => Ok("HEAD"),
        _ => Err(ValueError::hint("is not a method of health checks", "write GET or HEAD")),
    }
}
