//! JSON5 text becomes a tree in which every key and every value has its place.
//!
//! No crate that reads JSON5 keeps places and bounds depth. Everything that prox's reader takes is taken, and the rest of
//! JSON5 too: quotes of both kinds anywhere, and comments that hold any character.

mod reader;

mod cursor;

use std::path::Path;
use std::sync::Arc;

pub(super) use reader::parse;

use crate::config::diagnostics::Report;
use crate::config::syntax::Node;

/// Whether a text is to be read as JSON5: by the name of its file, by its first characters, or because it is a file of
/// prox in JSON, which YAML takes only without comments.
pub(super) fn takes(path: &Path, text: &str, is_ours: fn(&Node) -> bool) -> bool {
    let start = text.trim_start();
    if path.extension().is_some_and(|name| name == "json5")
        || ["//", "/*"].iter().any(|at| start.starts_with(at))
    {
        return true;
    }
    if !start.starts_with('{') {
        return false;
    }
    let mut unseen = Report::default();
    let file = unseen.add_file(path, &Arc::from(text));
    match parse(text, file, &mut unseen) {
        Some(tree) => is_ours(&tree.root),
        None => ["services", "routes", "listen"].iter().all(|word| text.contains(word)),
    }
}

#[cfg(test)]
mod tests;
