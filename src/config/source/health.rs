//! `health` of an upstream.

use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::Spanned;
use crate::config::plan::{Health, HealthRequest};
use crate::config::syntax::{Node, Value};
use crate::config::values::{ValueError, balance, scalar, target};

/// Keys that go with a request.
const OF_REQUESTS: [&str; 4] = ["method", "host", "status", "body"];

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
    let read = |decoder: &mut Decoder<'_>, node| Some(decoder.parsed_many(node, balance::any_status));
    let status = fields.field("status", read).unwrap_or_default();
    let status = status.into_iter().map(|status| status.value).collect();
    let body = fields.field("body", Decoder::text).map(|text| text.text.into());
    let request = request.map(|path| HealthRequest { path: path.value, method, host, status, body });
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

fn path_or_tcp(text: &str) -> Result<Option<HealthRequest>, ValueError> {
    if text == "tcp" {
        return Ok(None);
    }
    let path = health_path(text)?;
    Ok(Some(HealthRequest { path, method: "GET", host: None, status: Vec::new(), body: None }))
}

fn health_path(text: &str) -> Result<std::sync::Arc<str>, ValueError> {
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
