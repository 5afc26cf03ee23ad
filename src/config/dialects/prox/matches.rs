//! `match` and `speed` of a route.

use std::sync::Arc;

use super::keys::{open, text_list};
use super::schema::{MATCH, SPEED};
use super::values::{self, PathPattern};
use crate::config::decode::{Decoder, Text};
use crate::config::diagnostics::{Span, Spanned};
use crate::config::plan::{HostPattern, Speed, SpeedGroup};
use crate::config::syntax::Node;

/// `match`.
#[derive(Default)]
pub(super) struct Match {
    /// The pattern, and its text.
    pub(super) domain: Option<(Spanned<HostPattern>, String)>,
    /// Empty for every path.
    pub(super) paths: Vec<PathPattern>,
    pub(super) methods: Vec<Arc<str>>,
    /// The place of `path` or `methods`.
    pub(super) of_request: Option<Span>,
}

/// `{path, domain, methods, forward_proxy}`.
pub(super) fn matched(decoder: &mut Decoder<'_>, node: Node) -> Option<Match> {
    let mut fields = open(decoder, node, MATCH)?;
    let of_request = fields.at("path").or(fields.at("methods"));
    let has_some = ["path", "domain", "forward_proxy"].iter().any(|key| fields.at(key).is_some());
    let domain = fields.field("domain", |decoder, node| {
        let text = decoder.text(node.clone())?.text;
        Some((decoder.parsed(node, values::domain)?, text))
    });
    let paths = fields.field("path", paths);
    let methods = fields.field("methods", |decoder, node| {
        let items = text_list(decoder, node, "`methods`");
        let mut methods = Vec::new();
        for item in items {
            match values::method(&item.text) {
                Ok(method) if !methods.contains(&method) => methods.push(method),
                Ok(_) => {}
                Err(error) => decoder.value_error(&item, error),
            }
        }
        Some(methods)
    });
    let forwards_at = fields.at("forward_proxy");
    if let Some(span) = forwards_at.filter(|_| fields.flag("forward_proxy")) {
        let message = "`forward_proxy` is not supported yet: the gate is no proxy that clients choose";
        fields.decoder.report.error_hint(span, message, "leave the route out");
    }
    if !has_some {
        let hint = "without `match`, a route takes every request";
        fields.missing(&["path", "domain"], "`match` needs `path` or `domain`".to_owned(), hint);
    }
    fields.close();
    Some(Match { domain, paths: paths.unwrap_or_default(), methods: methods.unwrap_or_default(), of_request })
}

/// Patterns with commas between them. Empty if one takes every path.
fn paths(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<PathPattern>> {
    let text = decoder.text(node)?;
    let mut paths = Vec::new();
    for part in text.text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let start = part.as_ptr().addr() - text.text.as_ptr().addr();
        let span = text.place_of(start..start + part.len());
        match values::path(part) {
            Ok(path) => {
                if part.ends_with('*') && path.prefix.is_none() {
                    let message = format!("`{part}` takes this path alone, with its `*`");
                    decoder.report.warning(Some(span), message, "write a slash in front of the `*`");
                }
                paths.push(path);
            }
            Err(error) => decoder.value_error(&Text::new(part.to_owned(), span, None), error),
        }
    }
    if paths.is_empty() && !decoder.report.has_errors() {
        decoder.report.error_hint(text.span, "`path` is empty", "leave it out for every path");
    }
    Some(paths)
}

/// `{download_mbps, upload_mbps, shared}`.
pub(super) fn speed(decoder: &mut Decoder<'_>, node: Node) -> Option<Speed> {
    let mut fields = open(decoder, node, SPEED)?;
    let span = fields.span;
    let mut rate = |key| fields.parsed(key, values::rate);
    let (download, upload) = (rate("download_mbps"), rate("upload_mbps"));
    let shared = fields.flag("shared").then_some(SpeedGroup::OfPlace);
    let has_some = ["download_mbps", "upload_mbps"].iter().any(|key| fields.at(key).is_some());
    let is_wrong = [("download_mbps", &download), ("upload_mbps", &upload)];
    let is_wrong = is_wrong.iter().any(|(key, rate)| fields.at(key).is_some() && rate.is_none());
    let [download, upload] = [download, upload].map(|rate| rate.and_then(|rate| rate.value));
    if download.is_none() && upload.is_none() && !is_wrong {
        let hint = "write `download_mbps` or `upload_mbps`, or leave `speed` out";
        let message = if has_some { "both speeds are 0" } else { "`speed` has no speed" };
        fields.decoder.report.error_hint(span, message, hint);
    }
    fields.close();
    (download.is_some() || upload.is_some()).then_some(Speed { download, upload, shared })
}
