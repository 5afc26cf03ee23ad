//! Nodes become values, and every mistake on the way is noted.
//!
//! [`MappingReader`] reads a mapping: each key asked for is a known one, so what nobody asked for is
//! unknown, and the list of known keys can never differ from what is read.

use std::path::{Path, PathBuf};

use super::did_you_mean::did_you_mean;
use super::expansion;
use super::inputs::Inputs;
use super::report::{Report, Span, Spanned};
use super::scalar::ValueError;
use super::yaml::{Node, Value, quoted};

/// What reading one file needs.
pub(crate) struct Decoder<'a> {
    pub(crate) report: &'a mut Report,
    pub(crate) inputs: &'a dyn Inputs,
    /// The folder of the file: relative paths start there.
    pub(crate) dir: &'a Path,
}

/// A string with everything filled in.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) span: Span,
    /// What was written, when something was filled in: messages show only that.
    written: Option<String>,
}

impl Text {
    /// `written`: what stood there, when something was filled in.
    pub(crate) fn new(text: String, span: Span, written: Option<String>) -> Text {
        Text { text, span, written }
    }

    /// How a message quotes it.
    pub(crate) fn shown(&self) -> String {
        quoted(self.written.as_deref().unwrap_or(&self.text))
    }
}

impl Decoder<'_> {
    /// A string, everything filled in.
    pub(crate) fn text(&mut self, node: Node) -> Option<Text> {
        let span = node.span;
        let what = match node.value {
            Value::Scalar(text) if !text.contains('$') => return Some(Text { text, span, written: None }),
            Value::Scalar(written) => {
                return match expansion::expand(&written, self.dir, self.inputs) {
                    Ok(text) => Some(Text { text, span, written: Some(written) }),
                    Err((message, hint)) => {
                        self.report.error_hint(span, message, hint.unwrap_or_default());
                        None
                    }
                };
            }
            Value::Null => "nothing",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        };
        self.report.error(span, format!("one value is needed here, not {what}"));
        None
    }

    /// A value that one of the functions of `scalar`, `pattern`, `field` or `target` reads.
    pub(crate) fn parsed<T>(
        &mut self,
        node: Node,
        parse: fn(&str) -> Result<T, ValueError>,
    ) -> Option<Spanned<T>> {
        let text = self.text(node)?;
        match parse(&text.text) {
            Ok(value) => Some(Spanned { value, span: text.span }),
            Err(error) => {
                self.value_error(&text, error);
                None
            }
        }
    }

    /// Notes what is wrong with a value.
    pub(crate) fn value_error(&mut self, text: &Text, error: ValueError) {
        if error == super::target::USERINFO {
            // It may well hold a password.
            self.report.mask(text.span);
            return self.report.error_hint(
                text.span,
                format!("this {}", error.problem),
                error.hint.unwrap_or_default(),
            );
        }
        self.report.error_hint(
            text.span,
            format!("{} {}", text.shown(), error.problem),
            error.hint.unwrap_or_default(),
        );
    }

    /// One value or a list of them; never an empty list. Wrong ones are noted and left out.
    pub(crate) fn one_or_many<T>(
        &mut self,
        node: Node,
        mut read: impl FnMut(&mut Self, Node) -> Option<T>,
    ) -> Vec<T> {
        match node.value {
            Value::List(items) if items.is_empty() => {
                self.report.error(node.span, "this list is empty");
                Vec::new()
            }
            Value::List(items) => items.into_iter().filter_map(|item| read(self, item)).collect(),
            _ => read(self, node).into_iter().collect(),
        }
    }

    /// A list; may be empty.
    pub(crate) fn list(&mut self, node: Node, what: &str) -> Vec<Node> {
        match node.value {
            Value::List(items) => items,
            _ => {
                self.report.error_hint(
                    node.span,
                    format!("{what} is needed here"),
                    "start each of them with `- `",
                );
                Vec::new()
            }
        }
    }

    /// A path, from the folder of the file when it is relative.
    pub(crate) fn path(&mut self, node: Node) -> Option<Spanned<PathBuf>> {
        let text = self.text(node)?;
        match expansion::not_empty(&text.text) {
            Ok(path) => Some(Spanned { value: self.resolve(path), span: text.span }),
            Err(error) => {
                self.value_error(&text, error);
                None
            }
        }
    }

    /// A path, from the folder of the file when it is relative.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        self.dir.join(path.strip_prefix("./").filter(|rest| !rest.starts_with('/')).unwrap_or(path))
    }
}

/// A mapping that is being read.
pub(crate) struct MappingReader<'d, 'a> {
    pub(crate) decoder: &'d mut Decoder<'a>,
    pub(crate) span: Span,
    /// "a rule": how messages call the mapping.
    pub(crate) what: &'static str,
    entries: Vec<(Spanned<String>, Option<Node>)>,
    known: Vec<&'static str>,
    /// Keys of which one is needed and none is there, and what to say about it.
    missing: Vec<(&'static [&'static str], String, &'static str)>,
}

impl<'d, 'a> MappingReader<'d, 'a> {
    /// Opens a mapping; anything else is an error.
    pub(crate) fn open(decoder: &'d mut Decoder<'a>, node: Node, what: &'static str) -> Option<Self> {
        let Value::Map(entries) = node.value else {
            decoder.report.error_hint(node.span, format!("{what} is a mapping"), "write `key: value`");
            return None;
        };
        let entries = entries.into_iter().map(|(key, node)| (key, Some(node))).collect();
        Some(MappingReader {
            decoder,
            span: node.span,
            what,
            entries,
            known: Vec::new(),
            missing: Vec::new(),
        })
    }

    /// Where a key stands, if it does.
    pub(crate) fn at(&self, name: &str) -> Option<Span> {
        self.entries.iter().find(|(key, _)| key.value == name).map(|(key, _)| key.span)
    }

    /// Reads the value of a key, if it is there. A key without a value is an error.
    pub(crate) fn field<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Decoder<'a>, Node) -> Option<T>,
    ) -> Option<T> {
        self.known.push(name);
        let (key, node) = self.entries.iter_mut().find(|(key, _)| key.value == name)?;
        let node = node.take()?;
        if let Value::Null = node.value {
            let message = format!("{} has no value", quoted(&key.value));
            self.decoder.report.error_hint(key.span, message, "leave the key out, or give it one");
            return None;
        }
        read(self.decoder, node)
    }

    /// A key whose value one function reads.
    pub(crate) fn parsed<T>(
        &mut self,
        name: &'static str,
        parse: fn(&str) -> Result<T, ValueError>,
    ) -> Option<Spanned<T>> {
        self.field(name, |decoder, node| decoder.parsed(node, parse))
    }

    /// Notes it when a key is not there.
    pub(crate) fn require(&mut self, name: &'static [&'static str; 1]) {
        if self.at(name[0]).is_none() {
            let message = format!("{} needs `{}`", self.what, name[0]);
            self.missing(name, message, "");
        }
    }

    /// Notes that one of these keys is needed, and why or what for.
    pub(crate) fn missing(&mut self, names: &'static [&'static str], message: String, hint: &'static str) {
        self.missing.push((names, message, hint));
    }

    /// Known keys that mean nothing here, for a reason that the message gives.
    pub(crate) fn not_here(&mut self, names: &[&'static str], why: &str, hint: &str) {
        for name in names {
            if let Some((key, node)) = self.entries.iter_mut().find(|(key, _)| key.value == *name) {
                *node = None;
                self.decoder.report.error_hint(key.span, format!("`{name}` {why}"), hint);
            }
        }
    }

    /// Drops entries that are none of ours.
    pub(crate) fn ignore(&mut self, none_of_ours: impl Fn(&str) -> bool) {
        self.entries.retain(|(key, _)| !none_of_ours(&key.value));
    }

    /// Everything that was not asked for is unknown. What seems to be a misspelt key is not missed
    /// besides.
    pub(crate) fn close(self) {
        let MappingReader { decoder, span, what, entries, known, missing } = self;
        let mut meant = Vec::new();
        for (key, node) in entries {
            if node.is_none() || known.contains(&key.value.as_str()) {
                continue;
            }
            let message = format!("{} is not a key of {what}", quoted(&key.value));
            let hint = match did_you_mean(&key.value, known.iter().copied()) {
                Some(near) => {
                    meant.push(near);
                    format!("did you mean `{near}`?")
                }
                None => format!("the keys of {what} are {}", known.join(", ")),
            };
            decoder.report.error_hint(key.span, message, hint);
        }
        for (names, message, hint) in missing {
            if !names.iter().any(|name| meant.contains(name)) {
                decoder.report.error_hint(span, message, hint);
            }
        }
    }
}
