//! Answers of a route's own: `static`, and `serve` with one file.

use std::path::Path;
use std::sync::Arc;

use super::actions::{Body, Static};
use crate::config::decode::Decoder;
use crate::config::diagnostics::Spanned;
use crate::config::dialects::prox::values::PathPattern;
use crate::config::inputs::Inputs;
use crate::config::plan::Respond;
use crate::http::{CaptureNames, Scope, Template, TemplateUse};

/// Bytes of the longest body, because it stays in memory.
const BODY_BYTES_MAX: usize = 1 << 20;

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// The match of the route that answers.
pub(in crate::config::dialects::prox) struct Matched<'r> {
    /// The pattern of the host, as written.
    pub(in crate::config::dialects::prox) domain: Option<&'r str>,
    pub(in crate::config::dialects::prox) paths: &'r [PathPattern],
}

impl Matched<'_> {
    /// The labels with a star, and whether `**` stands behind them.
    fn stars(&self) -> (usize, bool) {
        let domain = self.domain.unwrap_or_default();
        let is_open = domain.ends_with(".**");
        let labels = domain.strip_suffix(".**").unwrap_or(domain).split('.');
        (labels.filter(|label| label.contains('*')).count(), is_open)
    }

    /// The placeholder of the gate for one of prox, or the text that it stands for. `None`: it stands for itself.
    fn placeholder(&self, name: &str) -> Option<String> {
        let (stars, is_open) = self.stars();
        let literal = |text: &str| Template::literal(text).to_string();
        Some(match name {
            "domain" | "host" => "{host}".to_owned(),
            "path" | "method" => format!("{{{name}}}"),
            "domain.pattern" => literal(self.domain.unwrap_or_default()),
            "match.domain" => (1..=stars).map(|star| format!("{{{star}}}")).collect::<Vec<_>>().join("."),
            "match.glob" if is_open => format!("{{{}}}", stars + 1),
            "match.glob" => String::new(),
            "match.path" => match self.paths {
                [] => String::new(),
                [path] => literal(&path.text),
                _ => return None,
            },
            _ => return None,
        })
    }

    /// The body with the placeholders of the gate. `None` if they are too many.
    fn template(&self, text: &str) -> Option<Template> {
        let mut written = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(brace) = rest.find('{') {
            let (before, from) = rest.split_at(brace);
            written.push_str(before);
            let end = from[1..].find(|char: char| !(char.is_ascii_alphanumeric() || "_.-".contains(char)));
            let name = end.filter(|end| from[1 + end..].starts_with('}')).map(|end| &from[1..=end]);
            match name.filter(|name| !name.is_empty()) {
                Some(name) => {
                    let ours = self.placeholder(name);
                    written.push_str(
                        &ours.unwrap_or_else(|| Template::literal(&from[..name.len() + 2]).to_string()),
                    );
                    rest = &from[name.len() + 2..];
                }
                None => {
                    written.push('{');
                    rest = &from[1..];
                }
            }
        }
        written.push_str(rest);
        let (stars, is_open) = self.stars();
        let of_host = stars + usize::from(is_open);
        let captures = CaptureNames { of_host, names: vec![None; of_host] };
        Template::new(&written, &Scope { used: TemplateUse::Text, captures: &captures }).ok()
    }
}

/// A `static` action.
pub(in crate::config::dialects::prox) fn respond(
    answer: &Static,
    matched: &Matched<'_>,
    decoder: &mut Decoder<'_>,
) -> Option<Respond> {
    let Static { status, headers, body } = answer;
    let mut headers = headers.clone();
    let template = match body {
        None => Template::literal(""),
        Some(Body { text, is_json }) => {
            let is_typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            if !is_typed && !text.text.is_empty() {
                headers
                    .push(("Content-Type".into(), if *is_json { JSON } else { sniffed(&text.text) }.into()));
            }
            if matches!(status, 204 | 205 | 304) {
                let message = format!("a response with status {status} has no body");
                decoder.report.error_hint(text.span, message, "leave `body_ref` out");
                return None;
            }
            if text.text.len() > BODY_BYTES_MAX {
                decoder.report.error_hint(text.span, "this body is longer than 1MiB", "serve it as a file");
                return None;
            }
            let template = matched.template(&text.text);
            if template.is_none() {
                decoder.report.error(text.span, "this body has more than 64 placeholders");
            }
            template?
        }
    };
    Some(Respond { status: *status, headers, body: template, page: None })
}

/// The type of a text without one: HTML if it begins like a page.
fn sniffed(text: &str) -> &'static str {
    let start = text.trim_start().get(..9).unwrap_or(text.trim_start()).to_ascii_lowercase();
    let is_page = ["<!doctype", "<html", "<head", "<body", "<!--"].iter().any(|tag| start.starts_with(tag));
    if is_page { HTML } else { TEXT }
}

/// One file for every path. It is read when the configuration is loaded.
pub(in crate::config::dialects::prox) fn file(
    path: &Spanned<std::path::PathBuf>,
    inputs: &dyn Inputs,
    decoder: &mut Decoder<'_>,
) -> Option<Respond> {
    let text = match inputs.read(&path.value) {
        Ok(text) if text.len() <= BODY_BYTES_MAX => text,
        Ok(_) => {
            let hint = "serve its folder: `root`";
            decoder.report.error_hint(
                path.span,
                "a `file` that is longer than 1MiB is not supported yet",
                hint,
            );
            return None;
        }
        Err(error) => {
            let message = format!("{} cannot be read as text: {error}", path.value.display());
            decoder.report.error_hint(
                path.span,
                message,
                "a relative path starts from the working directory",
            );
            return None;
        }
    };
    let headers: Vec<(Arc<str>, Arc<str>)> = vec![("Content-Type".into(), media_type(&path.value).into())];
    Some(Respond { status: 200, headers, body: Template::literal(&text), page: None })
}

/// The type of a file by its name.
fn media_type(path: &Path) -> &'static str {
    let extension = path.extension().map(|name| name.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("html" | "htm") => HTML,
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json") => JSON,
        Some("svg") => "image/svg+xml",
        Some("xml") => "text/xml; charset=utf-8",
        _ => TEXT,
    }
}
