//! Answers of a rule's own as written, `redirect` and `respond`; and the other target with placeholders, `rewrite`.

use super::page::page;
use super::templates;
use crate::config::decode::{Decoder, MappingReader};
use crate::config::plan::{Location, Redirect, Respond};
use crate::config::source::headers::headers;
use crate::config::syntax::{Node, Value};
use crate::config::values::{ValueError, header};
use crate::http::{CaptureNames, Scope, Template, TemplateUse};

/// `redirect: "https://example.com"` or `{to, status}`.
pub(in crate::config::source) fn redirect(
    decoder: &mut Decoder<'_>,
    node: Node,
    captures: &CaptureNames,
) -> Option<Redirect> {
    if !matches!(node.value, Value::Map(_)) {
        return Some(Redirect { to: target(decoder, node, captures)?, status: 308 });
    }
    let mut fields = MappingReader::open(decoder, node, "a redirect")?;
    fields.require(&["to"]);
    let to = fields.field("to", |decoder, node| target(decoder, node, captures));
    let status = fields.parsed("status", |text| match text {
        "301" | "302" | "303" | "307" | "308" => Ok(status_number(text)),
        _ => Err(ValueError::hint("is not the status of a redirect", "write 301, 302, 303, 307 or 308")),
    });
    fields.close();
    Some(Redirect { to: to?, status: status.map_or(308, |status| status.value) })
}

/// The target of a redirect.
fn target(decoder: &mut Decoder<'_>, node: Node, captures: &CaptureNames) -> Option<Location> {
    location(decoder, node, captures, |template| header::redirect_target(template, captures.of_host))
}

/// `rewrite: "/new{rest}"`.
pub(in crate::config::source) fn rewrite(
    decoder: &mut Decoder<'_>,
    node: Node,
    captures: &CaptureNames,
) -> Option<Location> {
    location(decoder, node, captures, header::rewrite_target)
}

fn location(
    decoder: &mut Decoder<'_>,
    node: Node,
    captures: &CaptureNames,
    check: impl FnOnce(Template) -> Result<Location, ValueError>,
) -> Option<Location> {
    let text = decoder.text(node)?;
    let template = templates::compile(decoder, &text, &Scope { used: TemplateUse::Url, captures })?;
    check(template).map_err(|error| decoder.value_error(&text, error)).ok()
}

/// `respond: {status, headers, body, page}`.
pub(in crate::config::source) fn respond(
    decoder: &mut Decoder<'_>,
    node: Node,
    captures: &CaptureNames,
) -> Option<Respond> {
    let mut fields = MappingReader::open(decoder, node, "a response")?;
    let status = fields.parsed("status", |text| match text.as_bytes() {
        [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'] => Ok(status_number(text)),
        _ => Err(ValueError::new("is not a status between 200 and 599")),
    });
    let status = status.map_or(200, |status| status.value);
    let mut headers = fields.field("headers", headers).unwrap_or_default();
    if let (Some(_), Some(span)) = (fields.at("body"), fields.at("page")) {
        let message = "`body` and `page` cannot stand in one response";
        fields.decoder.report.error_hint(span, message, "a page is a body in a file: keep one of them");
    }
    let page_at = fields.at("page");
    let page = fields.field("page", page);
    if let Some(span) = page_at.filter(|_| has_no_body(status)) {
        fields.decoder.report.error_hint(
            span,
            format!("a response with status {status} has no body"),
            "leave it out",
        );
    }
    let is_typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if page_at.is_some() && !is_typed {
        headers.push(("Content-Type".into(), "text/html; charset=utf-8".into()));
    }
    let body = fields.field("body", Decoder::text);
    if let Some(body) = &body {
        if has_no_body(status) && !body.text.is_empty() {
            fields.decoder.report.error_hint(
                body.span,
                format!("a response with status {status} has no body"),
                "leave it out",
            );
        }
        if body.text.len() > BODY_BYTES_MAX {
            fields.decoder.report.error_hint(
                body.span,
                "this body is longer than 1MiB",
                "let an upstream serve it",
            );
        }
    }
    let scope = Scope { used: TemplateUse::Text, captures };
    let body = body.map(|body| templates::compile(fields.decoder, &body, &scope));
    fields.close();
    let body = body.unwrap_or_else(|| Some(Template::literal("")))?;
    // A page that cannot be read was reported.
    (page.is_some() || page_at.is_none()).then_some(Respond { status, headers, body, page })
}

/// RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5.
fn has_no_body(status: u16) -> bool {
    matches!(status, 204 | 205 | 304)
}

/// Bytes of the longest body of a rule, because it stays in memory.
const BODY_BYTES_MAX: usize = 1 << 20;

fn status_number(text: &str) -> u16 {
    text.parse().expect("invariant: three digits")
}
