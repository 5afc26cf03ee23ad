//! The action `files` as written.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::Spanned;
use crate::config::plan::{Coding, LimitsWritten, NameGlob, PathGlob, Symlinks};
use crate::config::syntax::{Node, Value};
use crate::config::values::{ValueError, files, glob};

/// Serving files below a folder.
#[derive(Clone)]
pub(crate) struct FilesSource {
    pub(crate) root: Spanned<PathBuf>,
    pub(crate) index: Option<Vec<Arc<str>>>,
    pub(crate) fallback: Option<Arc<str>>,
    pub(crate) precompressed: Vec<Coding>,
    pub(crate) hidden: Option<Vec<NameGlob>>,
    pub(crate) symlinks: Symlinks,
    pub(crate) list: bool,
    pub(crate) immutable: Vec<PathGlob>,
    /// Keys of the rule.
    pub(crate) strip_path_prefix: bool,
    pub(crate) limits: LimitsWritten,
}

/// `files: ./public`, or a mapping.
pub(super) fn files(decoder: &mut Decoder<'_>, node: Node) -> Option<FilesSource> {
    let empty = |root| FilesSource {
        root,
        index: None,
        fallback: None,
        precompressed: Vec::new(),
        hidden: None,
        symlinks: Symlinks::default(),
        list: false,
        immutable: Vec::new(),
        strip_path_prefix: false,
        limits: LimitsWritten::default(),
    };
    if !matches!(node.value, Value::Map(_)) {
        return decoder.path(node).map(empty);
    }
    let mut fields = MappingReader::open(decoder, node, "`files`")?;
    fields.require(&["root"]);
    let root = fields.field("root", Decoder::path);
    let index = many_or_none(&mut fields, "index", files::name);
    let fallback = fields.parsed("fallback", files::path);
    let precompressed = many_or_none(&mut fields, "precompressed", files::coding);
    let hidden = many_or_none(&mut fields, "hidden", files::glob);
    let symlinks = fields.parsed("symlinks", files::symlinks);
    let list = fields.flag("list");
    let immutable = many_or_none(&mut fields, "immutable", glob::path_glob);
    fields.close();
    Some(FilesSource {
        index,
        fallback: fallback.map(|path| path.value),
        precompressed: precompressed.unwrap_or_default(),
        hidden,
        symlinks: symlinks.map_or(Symlinks::default(), |links| links.value),
        list,
        immutable: immutable.unwrap_or_default(),
        ..empty(root?)
    })
}

/// One value or several, or the word `none`, which no list can say: an empty one is an error.
fn many_or_none<T>(
    fields: &mut MappingReader<'_, '_>,
    name: &'static str,
    parse: fn(&str) -> Result<T, ValueError>,
) -> Option<Vec<T>> {
    let read = |decoder: &mut Decoder<'_>, node: Node| match &node.value {
        Value::Scalar(text) if text == "none" => Some(Vec::new()),
        _ => Some(decoder.parsed_many(node, parse).into_iter().map(|at| at.value).collect()),
    };
    fields.field(name, read)
}
