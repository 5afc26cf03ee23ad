//! Pages in files as written.

use crate::config::decode::Decoder;
use crate::config::plan::Page;
use crate::config::syntax::{Node, Value};

/// Bytes of the longest page, because it stays in memory.
const PAGE_BYTES_MAX: usize = 64 << 10;

/// A file with an HTML page.
pub(in crate::config::source) fn page(decoder: &mut Decoder<'_>, node: Node) -> Option<Page> {
    let path = decoder.text(node)?;
    let (span, file) = (path.span, format!("${{file:{}}}", path.text));
    // As text that is filled in, so that the file is watched as others are.
    let text = decoder.text(Node::new(span, Value::Scalar(file)))?.text;
    if text.len() > PAGE_BYTES_MAX {
        let hint = "a page stays in memory: let an upstream or `files` serve what is larger";
        decoder.report.error_hint(span, "this page is longer than 64KiB", hint);
        return None;
    }
    Some(Page { path: decoder.resolve(&path.text, span), text: text.into() })
}
