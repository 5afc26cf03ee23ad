//! `actions` and `resources`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::decode::{Decoder, MappingReader, Text};
use crate::config::diagnostics::{Spanned, did_you_mean, quoted};
use crate::config::dialects::prox::files::Named;
use crate::config::dialects::prox::keys::{open, text_list, texts};
use crate::config::dialects::prox::schema::{ACTION, RESOURCE};
use crate::config::dialects::prox::values;
use crate::config::inputs::Inputs;
use crate::config::plan::FieldEdit;
use crate::config::syntax::{Node, Value};
use crate::config::values::{ValueError, header};
use crate::http::Template;

/// An action.
pub(in crate::config::dialects::prox) struct Action {
    pub(in crate::config::dialects::prox) plugins: Vec<Text>,
    pub(in crate::config::dialects::prox) access_log: Option<Text>,
    /// The name of another action.
    pub(in crate::config::dialects::prox) fallback: Option<Text>,
    pub(in crate::config::dialects::prox) kind: Kind,
}

pub(in crate::config::dialects::prox) enum Kind {
    Proxy(Proxy),
    Static(Static),
    /// A folder.
    Root(Spanned<PathBuf>),
    /// A file.
    File(Spanned<PathBuf>),
    /// The target.
    Pass(Text),
    Drop,
}

pub(in crate::config::dialects::prox) struct Proxy {
    pub(in crate::config::dialects::prox) upstream: Text,
    pub(in crate::config::dialects::prox) timeout: Option<Duration>,
    pub(in crate::config::dialects::prox) is_http2: bool,
    pub(in crate::config::dialects::prox) headers: Vec<FieldEdit>,
}

pub(in crate::config::dialects::prox) struct Static {
    pub(in crate::config::dialects::prox) status: u16,
    pub(in crate::config::dialects::prox) headers: Vec<(Arc<str>, Arc<str>)>,
    pub(in crate::config::dialects::prox) body: Option<Body>,
}

/// A resource.
#[derive(Clone)]
pub(in crate::config::dialects::prox) struct Body {
    pub(in crate::config::dialects::prox) text: Text,
    pub(in crate::config::dialects::prox) is_json: bool,
}

/// Resources by name. `None` for a wrong one, which was reported.
pub(in crate::config::dialects::prox) type Resources = HashMap<String, Option<Body>>;

/// Actions by name. `None` for a wrong one, which was reported.
pub(in crate::config::dialects::prox) type Actions = HashMap<String, Option<Action>>;

/// The resources of all files.
pub(in crate::config::dialects::prox) fn resources(
    decoder: &mut Decoder<'_>,
    named: Vec<Named>,
    inputs: &dyn Inputs,
) -> Resources {
    let resource = |(name, node): Named| (name.value, resource(decoder, node, inputs));
    named.into_iter().map(resource).collect()
}

/// `text`, `file` or `json`, the first of them that is there.
fn resource(decoder: &mut Decoder<'_>, node: Node, inputs: &dyn Inputs) -> Option<Body> {
    let mut fields = open(decoder, node, RESOURCE)?;
    let span = fields.span;
    let text = fields.field("text", Decoder::text).filter(|text| !text.text.is_empty());
    let file = fields.field("file", Decoder::path);
    let json = fields.field("json", |decoder, node| match node.value {
        Value::Scalar(_) => decoder.text(node),
        _ => {
            decoder.report.error_hint(
                node.span,
                "`json` needs a file of prox in JSON5",
                "write it as `text`",
            );
            None
        }
    });
    fields.close();
    let body = |text, is_json| Some(Body { text, is_json });
    match (text, file, json) {
        (Some(text), ..) => body(text, false),
        (None, Some(file), _) => match inputs.read(&file.value) {
            Ok(text) => body(Text::new(text, file.span, Some(file.value.display().to_string())), false),
            Err(error) => {
                let message = format!("{} cannot be read: {error}", file.value.display());
                decoder.report.error_hint(
                    file.span,
                    message,
                    "a relative path starts from the working directory",
                );
                None
            }
        },
        (None, None, Some(json)) => body(json, true),
        (None, None, None) => {
            let hint = "write `text`, `file` or `json`";
            decoder.report.error_hint(span, "this resource has no content", hint);
            None
        }
    }
}

/// Reads actions of files and of routes.
pub(in crate::config::dialects::prox) struct ActionReader<'a> {
    pub(in crate::config::dialects::prox) resources: &'a Resources,
    pub(in crate::config::dialects::prox) inputs: &'a dyn Inputs,
}

impl ActionReader<'_> {
    /// The actions of all files.
    pub(in crate::config::dialects::prox) fn all(
        &self,
        decoder: &mut Decoder<'_>,
        named: Vec<Named>,
    ) -> Actions {
        named.into_iter().map(|(name, node)| (name.value, self.action(decoder, node))).collect()
    }

    /// An action.
    pub(in crate::config::dialects::prox) fn action(
        &self,
        decoder: &mut Decoder<'_>,
        node: Node,
    ) -> Option<Action> {
        let mut fields = open(decoder, node, ACTION)?;
        fields.require(&["type"]);
        let kind = fields.parsed("type", kind).map(|kind| kind.value);
        let plugins = fields.field("plugins", |decoder, node| Some(text_list(decoder, node, "`plugins`")));
        let access_log = fields.field("access_log", Decoder::text);
        let fallback = fields.field("fallback", Decoder::text).filter(|name| !name.text.is_empty());
        let kind = self.of_kind(&mut fields, kind);
        fields.close();
        let plugins = plugins.unwrap_or_default();
        Some(Action { plugins, access_log, fallback, kind: kind? })
    }

    /// The keys of all kinds. Those of other kinds have no effect, as in prox.
    fn of_kind(&self, fields: &mut MappingReader<'_, '_>, kind: Option<&'static str>) -> Option<Kind> {
        let upstream = fields.field("upstream", Decoder::text).filter(|text| !text.text.is_empty());
        let timeout = fields.parsed("timeout", values::time).map(|time| time.value);
        fields.flag("stream");
        let proto = fields.field("proto", Decoder::text);
        let is_response = kind == Some("static");
        let headers = fields.field("headers", |decoder, node| Some(headers(decoder, node, is_response)));
        let headers = headers.unwrap_or_default();
        let has_status = fields.at("status").is_some();
        let status = fields.parsed("status", status).map(|status| status.value);
        let body = fields.field("body_ref", |decoder, node| Some(self.body(decoder, node)));
        let root = fields.field("root", Decoder::path);
        let file = fields.field("file", Decoder::path);
        let kind = kind?;
        let mut missing = |keys: &str, hint: &str| {
            let message = format!("an action of the type {kind} needs {keys}");
            fields.decoder.report.error_hint(fields.span, message, hint);
        };
        if matches!(kind, "proxy" | "pass") && upstream.is_none() {
            missing("`upstream`", "write `upstream: \"host:port\"`");
            return None;
        }
        match kind {
            "proxy" => {
                if let Some(proto) = proto.as_ref().filter(|proto| !matches!(&*proto.text, "" | "h2")) {
                    let message = format!("{} is not a protocol, and has no effect", proto.shown());
                    fields.decoder.report.warning(
                        Some(proto.span),
                        message,
                        "write h2, or leave `proto` out",
                    );
                }
                let is_http2 = proto.is_some_and(|proto| proto.text == "h2");
                let timeout = timeout.filter(|time| !time.is_zero());
                Some(Kind::Proxy(Proxy { upstream: upstream?, timeout, is_http2, headers }))
            }
            "pass" => upstream.map(Kind::Pass),
            "static" => {
                if !has_status {
                    missing("`status`", "write for example `status: 200`");
                }
                let headers = headers.into_iter().map(|edit| {
                    let value = edit.value.as_literal().unwrap_or_default().into();
                    (edit.name, value)
                });
                let body = match body {
                    Some(body) => Some(body?),
                    None => None,
                };
                Some(Kind::Static(Static { status: status?, headers: headers.collect(), body }))
            }
            "serve" => match (root, file) {
                (Some(root), None) => Some(Kind::Root(root)),
                (None, Some(file)) => Some(Kind::File(file)),
                _ => {
                    missing(
                        "either `root` or `file`",
                        "`root` is a folder, and `file` one file for every path",
                    );
                    None
                }
            },
            _ => Some(Kind::Drop),
        }
    }

    /// The name of a resource, or a resource.
    fn body(&self, decoder: &mut Decoder<'_>, node: Node) -> Option<Body> {
        if let Value::Map(_) = node.value {
            return resource(decoder, node, self.inputs);
        }
        let name = decoder.text(node)?;
        if let Some(body) = self.resources.get(&name.text) {
            return body.clone();
        }
        let hint = match did_you_mean(&name.text, self.resources.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write it under `resources`".to_owned(),
        };
        decoder.report.error_hint(name.span, format!("there is no resource {}", name.shown()), hint);
        None
    }
}

/// The type of an action.
fn kind(text: &str) -> Result<&'static str, ValueError> {
    let kinds = ["proxy", "static", "serve", "pass", "drop"];
    let found = kinds.into_iter().find(|kind| *kind == text);
    found.ok_or(ValueError::hint("is not a type of an action", "write proxy, static, serve, pass or drop"))
}

fn status(text: &str) -> Result<u16, ValueError> {
    match values::count(text) {
        Ok(status @ 200..=599) => Ok(status as u16),
        _ => Err(ValueError::new("is not a status between 200 and 599")),
    }
}

/// Fields of requests, or of a response. A name or a value that no message can have is an error.
fn headers(decoder: &mut Decoder<'_>, node: Node, is_response: bool) -> Vec<FieldEdit> {
    let parse = if is_response { header::field_name } else { header::set_in_requests };
    let mut edits: Vec<FieldEdit> = Vec::new();
    for (key, value) in texts(decoder, node, "`headers`") {
        let name = match parse(&key.value) {
            Ok(name) => name,
            Err(error) => {
                let message = format!("{} {}", quoted(&key.value), error.problem);
                decoder.report.error_hint(key.span, message, error.hint.unwrap_or_default());
                continue;
            }
        };
        match header::field_value(&value.text) {
            Ok(text) => {
                edits.retain(|edit| !edit.name.eq_ignore_ascii_case(&name));
                edits.push(FieldEdit { name, value: Template::literal(&text) });
            }
            Err(error) => decoder.value_error(&value, error),
        }
    }
    edits
}
