//! `headers`, `hsts`, `request_id` and `traceparent` as written, on rules and on listeners.

use std::sync::Arc;
use std::time::Duration;

use super::templates;
use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::quoted;
use crate::config::plan::{
    EDITS_MAX, Edits, FieldEdit, FieldPattern, Headers, HeadersWritten, Hsts, RequestId,
};
use crate::config::syntax::{Node, Value};
use crate::config::values::{ValueError, header, scalar};
use crate::http::{CaptureNames, Scope, TemplateUse};

/// The keys of a rule with these captures, or of a listener, which has none.
pub(in crate::config::source) fn headers(
    fields: &mut MappingReader<'_, '_>,
    captures: &CaptureNames,
) -> HeadersWritten {
    HeadersWritten {
        headers: fields.field("headers", |decoder, node| {
            or_false(decoder, node, |decoder, node| both(decoder, node, captures))
        }),
        hsts: fields.field("hsts", |decoder, node| or_false(decoder, node, hsts)),
        request_id: fields.field("request_id", |decoder, node| or_false(decoder, node, request_id)),
        traceparent: fields.field("traceparent", |decoder, node| decoder.flag(node)).map(|flag| flag.value),
    }
}

/// A value, or `false`, which takes off that of the listener.
fn or_false<T>(
    decoder: &mut Decoder<'_>,
    node: Node,
    read: impl FnOnce(&mut Decoder<'_>, Node) -> Option<T>,
) -> Option<Option<Arc<T>>> {
    match &node.value {
        Value::Scalar(text) if text == "false" => Some(None),
        _ => read(decoder, node).map(|value| Some(Arc::new(value))),
    }
}

/// One of the two messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

impl Side {
    fn used(self) -> TemplateUse {
        match self {
            Side::Request => TemplateUse::Text,
            Side::Response => TemplateUse::Response,
        }
    }
}

/// `{ request, response }`.
fn both(decoder: &mut Decoder<'_>, node: Node, captures: &CaptureNames) -> Option<Headers> {
    let mut fields = MappingReader::open(decoder, node, "`headers`")?;
    let mut side = |name, side| fields.field(name, |decoder, node| edits(decoder, node, side, captures));
    let (request, response) = (side("request", Side::Request), side("response", Side::Response));
    fields.close();
    Some(Headers { request: request.unwrap_or_default(), response: response.unwrap_or_default() })
}

/// `{ set, add, default, remove }`.
fn edits(decoder: &mut Decoder<'_>, node: Node, side: Side, captures: &CaptureNames) -> Option<Edits> {
    let mut fields = MappingReader::open(decoder, node, "a change of fields")?;
    let mut lines = |key: &'static str| {
        fields.field(key, |decoder, node| edited(decoder, node, (key, side), captures)).unwrap_or_default()
    };
    let (set, default, add) = (lines("set"), lines("default"), lines("add"));
    let remove = fields.field("remove", |decoder, node| {
        let parse = if side == Side::Request {
            header::removed_from_requests
        } else {
            header::removed_from_responses
        };
        Some(decoder.parsed_many(node, parse))
    });
    let pattern = |text: Arc<str>| match text.strip_suffix('*') {
        Some(start) => FieldPattern { start: start.into(), is_open: true },
        None => FieldPattern { start: text, is_open: false },
    };
    let remove = remove.into_iter().flatten().map(|text| pattern(text.value)).collect();
    fields.close();
    Some(Edits { remove, set, default, add })
}

/// A mapping of names to values. With `add`, a name may have several. In a label it is lines `Name: value`.
fn edited(
    decoder: &mut Decoder<'_>,
    node: Node,
    (key, side): (&'static str, Side),
    captures: &CaptureNames,
) -> Option<Vec<FieldEdit>> {
    let (span, mut edits) = (node.span, Vec::new());
    for (name, place, node) in pairs(decoder, node)? {
        let parse = match side {
            Side::Request if key == "set" => header::set_in_requests,
            Side::Request => header::added_to_requests,
            Side::Response => header::added_to_responses,
        };
        match parse(&name) {
            Ok(name) => {
                let values = decoder.one_or_many(node, |decoder, node| {
                    value(decoder, node, &name, &Scope { used: side.used(), captures })
                });
                if values.len() > 1 && key != "add" {
                    let message = format!("`{name}` has several values");
                    decoder.report.error_hint(place, message, "only `add` takes more than one");
                }
                edits.extend(values);
            }
            Err(ValueError { problem, hint }) => {
                let message = format!("{} {problem}", quoted(&name));
                decoder.report.error_hint(place, message, hint.unwrap_or_default());
            }
        }
    }
    if edits.len() > EDITS_MAX {
        decoder.report.error(span, format!("`{key}` has more than {EDITS_MAX} fields"));
        return None;
    }
    Some(edits)
}

type Pair = (String, crate::config::diagnostics::Span, Node);

/// Names and values of a mapping, or of lines `Name: value`.
fn pairs(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<Pair>> {
    match node.value {
        Value::Map(entries) => {
            Some(entries.into_iter().map(|(key, node)| (key.value, key.span, node)).collect())
        }
        Value::Scalar(ref text) if text.contains(':') => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let pair = |line: &str| {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                let value = Node::new(node.span, Value::Scalar(value.trim().to_owned()));
                (name.trim_end().to_owned(), node.span, value)
            };
            Some(lines.map(pair).collect())
        }
        _ => {
            let hint = "write `{ Name: value }`, or in a label `Name: value`, one on each line";
            decoder.report.error_hint(node.span, "this is a mapping of names to values", hint);
            None
        }
    }
}

fn value(decoder: &mut Decoder<'_>, node: Node, name: &Arc<str>, scope: &Scope<'_>) -> Option<FieldEdit> {
    let mut text = decoder.text(node)?;
    match header::field_value(&text.text) {
        Ok(trimmed) if trimmed.len() != text.text.len() => text.text = (*trimmed).to_owned(),
        Ok(_) => {}
        Err(error) => {
            decoder.value_error(&text, error);
            return None;
        }
    }
    let value = templates::compile(decoder, &text, scope)?;
    if name.eq_ignore_ascii_case("host")
        && let Err(error) = header::host_template(&value, scope.captures.of_host)
    {
        decoder.value_error(&text, error);
        return None;
    }
    Some(FieldEdit { name: name.clone(), value })
}

/// `365d`, or `{ max_age, include_subdomains, preload }`.
fn hsts(decoder: &mut Decoder<'_>, node: Node) -> Option<Hsts> {
    if !matches!(node.value, Value::Map(_)) {
        let max_age = decoder.parsed(node, scalar::duration)?.value.as_secs();
        return Some(Hsts { max_age, include_subdomains: false, preload: false });
    }
    let mut fields = MappingReader::open(decoder, node, "`hsts`")?;
    fields.require(&["max_age"]);
    let max_age = fields.parsed("max_age", scalar::duration);
    let include_subdomains = fields.flag("include_subdomains");
    let preload = fields.flag("preload");
    let is_short = max_age.as_ref().is_some_and(|age| age.value < PRELOAD_AGE);
    if let Some(span) = fields.at("preload").filter(|_| preload && (is_short || !include_subdomains)) {
        let hint =
            "browsers take only hosts with `include_subdomains: true` and a `max_age` of a year, \"365d\"";
        fields.decoder.report.error_hint(span, "`preload` asks for more than this", hint);
    }
    fields.close();
    Some(Hsts { max_age: max_age?.value.as_secs(), include_subdomains, preload })
}

/// The least age that lists of browsers take.
const PRELOAD_AGE: Duration = Duration::from_secs(365 * 24 * 3_600);

/// `true`, or the name of the field.
fn request_id(decoder: &mut Decoder<'_>, node: Node) -> Option<RequestId> {
    let field = decoder.parsed(node, |text| match text {
        "true" => Ok("X-Request-Id".into()),
        name => scalar::no_flag(name).and_then(|()| header::told_in_requests(name)),
    })?;
    Some(RequestId { field: field.value })
}
