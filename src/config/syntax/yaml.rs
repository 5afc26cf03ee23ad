//! YAML text becomes a tree in which every key and every value knows its place.
//!
//! Read from the parser's events rather than through serde: serde would stop at the first unknown
//! key and would turn `1.10` into a number before anyone could say that it is a host. Anchors,
//! aliases and merge keys work; tags are noted for those who have a use for them. Sizes are bounded, so that a short text cannot
//! become a large tree ("billion laughs").

use std::collections::{HashMap, HashSet};

use serde_saphyr::granit_parser::{self, Event, Options, Parser, ScalarStyle, StrInput};

use super::secrets::{is_secret, mask_secret};
use super::tree::{Node, Tag, Tree, Value, size};
use crate::config::diagnostics::{Report, Span, Spanned, quoted, yaml_hint};

/// The longest text that is read, in bytes; some 100,000 rules.
pub const TEXT_BYTES_MAX: usize = 16 << 20;

/// Nodes in a tree, aliases written out.
const NODES_MAX: usize = 2_000_000;

/// Collections inside each other; our own format needs 7.
const DEPTH_MAX: usize = 32;

/// Reads one text. `None` when it is not YAML: then one error says where. Keys written twice are
/// reported too, all of them, and do not stop it.
pub(crate) fn parse(text: &str, file: u32, report: &mut Report) -> Option<Tree> {
    let mut options = Options::default();
    // Off, so that no limit on the number of comments in a row applies.
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

/// Why a text cannot be read further.
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
    /// Where the value of a secret begins that is being read.
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
                let start =
                    error.marker().byte_offset().unwrap_or(self.text.len()).min(self.text.len()) as u32;
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
                Event::Scalar(text, style, _, None) => {
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
        // An anchor is known once its node is complete, so an alias to what it stands in is not.
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(fault(span, "this alias refers to what it stands in", None));
        };
        let size = size(node);
        let node = node.clone();
        self.spend(size, span)?;
        Ok(node)
    }

    /// After a fault there is no tree that tells how far a secret goes: it is masked to the end of the text,
    /// from the value that was being read, or from the first word behind the last event that may be its key.
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

/// `<<: *base`: the entries of other mappings that this one does not have itself.
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

fn tag_of(tag: &granit_parser::Tag) -> Option<Tag> {
    match tag.suffix() {
        "reset" => Some(Tag::Reset),
        "override" => Some(Tag::Override),
        _ => None,
    }
}

/// A block collection starts without a character of its own; its first child can be pointed at.
fn visible(span: Span, child: Option<Span>) -> Span {
    if span.start == span.end { child.unwrap_or(span) } else { span }
}

fn fault(span: Span, message: impl Into<String>, hint: Option<&'static str>) -> Fault {
    Fault { span, message: message.into(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(text: &str) -> (Option<Node>, String) {
        let mut report = Report::default();
        let file = report.add_file(Path::new("a.yml"), &text.into());
        let node = parse(text, file, &mut report);
        (node.map(|tree| tree.root), report.finish().to_string())
    }

    /// The tree in one line.
    fn show(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".into(),
            Value::Scalar(text) => text.clone(),
            Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let entries: Vec<String> =
                    entries.iter().map(|(k, v)| format!("{}={}", k.value, show(v))).collect();
                format!("{{{}}}", entries.join(" "))
            }
        }
    }

    fn tree(text: &str) -> String {
        let (node, errors) = read(text);
        assert_eq!(errors, "", "{text}");
        show(&node.expect("a tree"))
    }

    #[test]
    fn a_reference_that_is_cut_off_is_no_reference() {
        for token in ["${env:", "${file:", "${env:}x", "${env:A}${env:B}"] {
            let (node, errors) = read(&format!("token: \"{token}\"\n"));
            assert!(node.is_some() && errors.is_empty(), "{token}: {errors}");
        }
    }

    #[test]
    fn scalars_stay_as_written() {
        assert_eq!(
            tree("a: 1.10\nb: 0080\nc: yes\nd: ~\ne: '~'\nf:\n"),
            "{a=1.10 b=0080 c=yes d=null e=~ f=null}"
        );
        assert_eq!(tree(""), "null");
        assert_eq!(tree("# only\n# comments\n"), "null");
    }

    #[test]
    fn many_comments_in_a_row_are_fine() {
        assert_eq!(tree(&format!("a:\n{}  - 1\n", "  # one\n".repeat(500))), "{a=[1]}");
    }

    #[test]
    fn anchors_and_merge_keys() {
        assert_eq!(tree("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\n"), "{x={a=1 b=2} y={b=3 a=1}}");
        assert_eq!(
            tree("x: &x {a: 1}\nz: &z {a: 2, c: 4}\ny: {<<: [*x, *z]}\n"),
            "{x={a=1} z={a=2 c=4} y={a=1 c=4}}"
        );
    }

    #[test]
    fn every_duplicate_is_reported() {
        let (node, errors) = read("a: 1\na: 2\nb: {c: 1, c: 2}\n");
        assert_eq!(show(&node.expect("a tree")), "{a=1 b={c=1}}");
        assert_eq!(errors.matches("stands twice").count(), 2, "{errors}");
    }

    #[test]
    fn laughs_are_bounded() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = format!("*a{},", level - 1).repeat(10);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", below.trim_end_matches(',')));
        }
        assert!(read(&text).1.contains("too many values"));
        assert!(read(&"[".repeat(100_000)).0.is_none());
        assert!(read(&"- ".repeat(10_000)).1.contains("too deep"));
        assert!(read("a: &a [*a]").1.contains("what it stands in"));
    }

    /// A value is masked where it stands, also when the text cannot be read further; letters are no reason.
    #[test]
    fn a_syntax_error_hides_tokens_and_nothing_else() {
        for text in [
            "internal_api: { token: \"sesame\nport: 1\n",
            "internal_api: { token: sesame, x: [\n",
            "internal_api: { tokn: sesame, x: }]\n",
            "internal_api:\n  token:\n    \"sesame\n",
            "internal_api:\n  token: { a: [ sesame ) }\n",
            "internal_api:\n  token: [a,\n    sesame: *b]\n",
            "internal_api:\n  bind: a\n  token sesame\nhttp_config: 1\n",
        ] {
            let (node, errors) = read(text);
            assert!(node.is_none() && errors.contains("not YAML"), "{text}\n{errors}");
            assert!(!errors.contains("sesame"), "{text}\n{errors}");
        }
        for (text, shown) in [
            ("a: { token: sesame }\nb: { host: c.example", "b: { host: c.example"),
            ("hosts: { stokes: tokyo.example, a: [ }", "hosts: { stokes: tokyo.example, a: [ }"),
            ("a: { token: sesame, b: *c }", "a: { token: ******, b: *c }"),
        ] {
            let errors = read(text).1;
            assert!(errors.contains(shown), "{text}\n{errors}");
        }
    }
}
