//! YAML text becomes a tree in which every key and every value has its place.
//!
//! The tree is built from the parser's events. `serde` would stop at the first unknown key, and would turn the
//! host `1.10` into a number. Anchors, aliases and merge keys work. Sizes are bounded, so that a short text cannot
//! become a large tree ("billion laughs").

use std::collections::{HashMap, HashSet};

use serde_saphyr::granit_parser::{self, Event, Options, Parser, ScalarStyle, StrInput};

use super::secrets::{is_secret, mask_secret};
use super::tree::{Node, Tag, Tree, Value, size};
use crate::config::diagnostics::{Report, Span, Spanned, quoted, yaml_hint};

/// Bytes of the longest text; enough for about 100,000 rules.
pub const TEXT_BYTES_MAX: usize = 16 << 20;

/// Nodes in a tree, with aliases written out.
const NODES_MAX: usize = 2_000_000;

/// Depth of collections. The native format needs 7.
const DEPTH_MAX: usize = 32;

/// Parses one text. Returns `None` if it is not YAML, with an error that tells the place. Every duplicate key is
/// reported too.
pub(crate) fn parse(text: &str, file: u32, report: &mut Report) -> Option<Tree> {
    let mut options = Options::default();
    // Without comments, no limit on the number of comments in a row applies.
    options.emit_comments = false;
    let events = Parser::new_from_str_with_options(text, options);
    let mut reader = Reader {
        text,
        file,
        events,
        read_to: 0,
        secret: None,
        anchors: HashMap::new(),
        nodes_left: NODES_MAX,
        tag: None,
        report,
    };
    match reader.document() {
        Ok(root) => Some(Tree { root, tag: reader.tag }),
        Err(fault) => {
            reader.mask_unread_secrets();
            match fault.hint {
                Some(hint) => report.error_hint(fault.span, fault.message, hint),
                None => report.error(fault.span, fault.message),
            }
            None
        }
    }
}

/// An error that stops the parser.
struct Fault {
    span: Span,
    message: String,
    hint: Option<&'static str>,
}

struct Reader<'t, 'r> {
    text: &'t str,
    file: u32,
    events: Parser<'t, StrInput<'t>>,
    /// Bytes of the text up to the end of the last event.
    read_to: usize,
    /// The start of the secret that is being read.
    secret: Option<usize>,
    anchors: HashMap<usize, Node>,
    nodes_left: usize,
    tag: Option<Span>,
    report: &'r mut Report,
}

impl<'t> Reader<'t, '_> {
    fn document(&mut self) -> Result<Node, Fault> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                Event::StreamEnd => {
                    return Ok(root.unwrap_or(Node::new(span, Value::Null)));
                }
                _ if root.is_some() => {
                    return Err(fault(
                        span,
                        "a second document starts here",
                        Some("write one document a file"),
                    ));
                }
                event => root = Some(self.node(event, span, 0)?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Fault> {
        let end = Span { file: self.file, start: self.text.len() as u32, end: self.text.len() as u32 };
        match self.events.next_event() {
            Some(Ok((event, place))) => {
                let span = self.span(&place);
                self.read_to = span.end as usize;
                Ok((event, span))
            }
            Some(Err(error)) => {
                let start = error.marker().byte_offset().unwrap_or(self.text.len()).min(self.text.len());
                // The parser names the place before the tab, which may be on another line.
                let is_tab = error.info().contains("tab");
                let to_tab = self.text.get(start..).filter(|_| is_tab).and_then(|rest| rest.find('\t'));
                let start = (start + to_tab.unwrap_or(0)) as u32;
                Err(fault(
                    Span { start, end: start, ..end },
                    format!("this is not YAML: {}", error.info()),
                    yaml_hint(&error.info()),
                ))
            }
            None => Err(fault(end, "this is not YAML: it ends too early", None)),
        }
    }

    fn span(&self, place: &granit_parser::Span) -> Span {
        let end = self.text.len();
        let range = place.byte_range().unwrap_or(end..end);
        Span { file: self.file, start: range.start.min(end) as u32, end: range.end.min(end) as u32 }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Fault> {
        self.spend(1, span)?;
        if depth > DEPTH_MAX {
            return Err(fault(span, "collections stand too deep inside each other", None));
        }
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(_, anchor, tag)
            | Event::MappingStart(_, anchor, tag) => (*anchor, tag.as_deref().map(tag_of)),
            _ => (0, None),
        };
        if tag.is_some() {
            self.tag.get_or_insert(span);
        }
        let mut node = match event {
            Event::Scalar(text, style, ..) => {
                let plain = matches!(style, ScalarStyle::Plain);
                let null = plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if null { Value::Null } else { Value::Scalar(text.into_owned()) };
                Node::new(span, value)
            }
            Event::SequenceStart(..) => self.list(span, depth)?,
            Event::MappingStart(..) => self.map(span, depth)?,
            Event::Alias(anchor) => self.alias(anchor, span)?,
            _ => return Err(fault(span, "this is not YAML: a value is missing", None)),
        };
        if let Some(tag) = tag {
            node.tag = tag;
        }
        if anchor > 0 {
            self.spend(size(&node), span)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, span: Span, depth: usize) -> Result<Node, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => {
                    let span = visible(span, items.first().map(|node: &Node| node.span));
                    return Ok(Node::new(span, Value::List(items)));
                }
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, span: Span, depth: usize) -> Result<Node, Fault> {
        let mut entries: Vec<(Spanned<String>, Node)> = Vec::new();
        let mut merges = Vec::new();
        let mut seen: HashMap<String, Span> = HashMap::new();
        loop {
            let (event, key_span) = self.next()?;
            let (key, plain) = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, style, _, tag)
                    if tag.as_deref().is_none_or(|tag| is_merge(tag, &text)) =>
                {
                    (text.into_owned(), matches!(style, ScalarStyle::Plain))
                }
                _ => return Err(fault(key_span, "a key must be a plain word", None)),
            };
            let outer = self.secret;
            if is_secret(&key) {
                self.secret = outer.or(Some(self.read_to));
            }
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            self.secret = outer;
            if is_secret(&key) {
                mask_secret(&node, self.report);
            }
            if plain && key == "<<" {
                merges.push(Spanned { value: node, span: key_span });
            } else if let Some(first) = seen.get(&key) {
                let first = self.report.place(*first);
                self.report.error_hint(
                    key_span,
                    format!("{} stands twice in one mapping", quoted(&key)),
                    format!("first at {first}"),
                );
            } else {
                seen.insert(key.clone(), key_span);
                entries.push((Spanned { value: key, span: key_span }, node));
            }
        }
        let span = visible(span, entries.first().map(|(key, _)| key.span));
        for merge in merges {
            merge_into(&mut entries, merge)?;
        }
        Ok(Node::new(span, Value::Map(entries)))
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, Fault> {
        // An anchor is known when its node is complete, so an alias inside of that node is not.
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(fault(span, "this alias refers to what it stands in", None));
        };
        let size = size(node);
        let node = node.clone();
        self.spend(size, span)?;
        Ok(node)
    }

    /// Hides the rest of the text after an error, because no tree tells where a secret ends. The rest begins at
    /// the secret that was being read. Without one, it begins at the first later word that may be the key of a
    /// secret.
    fn mask_unread_secrets(&mut self) {
        let from = self.secret.or_else(|| {
            let mut end = self.read_to;
            let mut words = self.text[end..].split_inclusive(|char: char| !char.is_alphanumeric());
            let key = words.find(|word| {
                end += word.len();
                is_secret(word.trim_end_matches(|char: char| !char.is_alphanumeric()))
            });
            key.map(|_| end)
        });
        if let Some(start) = from {
            self.report.mask(Span { file: self.file, start: start as u32, end: self.text.len() as u32 });
        }
    }

    fn spend(&mut self, nodes: usize, span: Span) -> Result<(), Fault> {
        match self.nodes_left.checked_sub(nodes) {
            Some(left) => {
                self.nodes_left = left;
                Ok(())
            }
            None => Err(fault(span, "this file holds too many values, aliases written out", None)),
        }
    }
}

/// `<<: *base`: adds the entries of other mappings that this one does not have.
fn merge_into(entries: &mut Vec<(Spanned<String>, Node)>, merge: Spanned<Node>) -> Result<(), Fault> {
    let bases = match merge.value.value {
        Value::List(bases) => bases,
        value => vec![Node::new(merge.value.span, value)],
    };
    let mut known: HashSet<String> = entries.iter().map(|(key, _)| key.value.clone()).collect();
    for base in bases {
        let Value::Map(base) = base.value else {
            return Err(fault(merge.span, "`<<` takes a mapping or a list of mappings", None));
        };
        entries.extend(base.into_iter().filter(|(key, _)| known.insert(key.value.clone())));
    }
    Ok(())
}

/// Whether a key with a tag is `!!merge <<`, as some programs write `<<`.
fn is_merge(tag: &granit_parser::Tag, key: &str) -> bool {
    key == "<<" && [tag.handle(), tag.suffix()].concat() == "tag:yaml.org,2002:merge"
}

fn tag_of(tag: &granit_parser::Tag) -> Option<Tag> {
    match tag.suffix() {
        "reset" => Some(Tag::Reset),
        "override" => Some(Tag::Override),
        _ => None,
    }
}

/// The visible place of a collection. A block collection has no character of its own, so it is the place of its
/// first child.
fn visible(span: Span, child: Option<Span>) -> Span {
    if span.start == span.end { child.unwrap_or(span) } else { span }
}

fn fault(span: Span, message: impl Into<String>, hint: Option<&'static str>) -> Fault {
    Fault { span, message: message.into(), hint }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
