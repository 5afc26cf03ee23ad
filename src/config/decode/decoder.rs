//! Nodes become values. Every error on the way is reported.

use std::ops::Range;
use std::path::PathBuf;

use super::notation::{Filled, Notation};
use crate::config::diagnostics::{Report, Span, Spanned, quoted};
use crate::config::syntax::{Node, Value};
use crate::config::values::{ValueError, substitution};

/// The context of reading values.
pub(crate) struct Decoder<'a> {
    pub(crate) report: &'a mut Report,
    pub(crate) notation: &'a dyn Notation,
}

/// A string after substitution.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) span: Span,
    /// The string before substitution, if it changed. Messages show only this one.
    written: Option<String>,
}

impl Text {
    /// `written` is the string before substitution, if it changed.
    pub(crate) fn new(text: String, span: Span, written: Option<String>) -> Text {
        Text { text, span, written }
    }

    /// The items between separators. Without one, and without any item, it is the whole text.
    fn items(self, separator: Option<char>) -> Vec<Text> {
        let Some(separator) = separator.filter(|separator| self.text.contains(*separator)) else {
            return vec![self];
        };
        let item = |item: &str| {
            let start = item.as_ptr().addr() - self.text.as_ptr().addr();
            let span = self.place_of(start..start + item.len());
            Text { text: item.to_owned(), span, written: self.written.clone() }
        };
        let items = self.text.split(separator).map(str::trim).filter(|item| !item.is_empty());
        let items: Vec<Text> = items.map(item).collect();
        if items.is_empty() { vec![self] } else { items }
    }

    /// The place of a part of the string. If something was filled in, it is the place of the whole.
    pub(crate) fn place_of(&self, part: Range<usize>) -> Span {
        match self.written {
            Some(_) => self.span,
            None => self.span.part(&self.text, part.start, part.end),
        }
    }

    /// Whether something was filled in, which may be a secret.
    pub(crate) fn is_filled_in(&self) -> bool {
        self.written.is_some()
    }

    /// The string as a message quotes it.
    pub(crate) fn shown(&self) -> String {
        quoted(self.written.as_deref().unwrap_or(&self.text))
    }
}

impl Decoder<'_> {
    /// A string after substitution.
    pub(crate) fn text(&mut self, node: Node) -> Option<Text> {
        let span = node.span;
        let what = match node.value {
            Value::Scalar(text) if !text.contains('$') => return Some(Text::new(text, span, None)),
            Value::Scalar(written) => {
                return match self.notation.fill(&written, span) {
                    Ok(Filled { text, warnings }) => {
                        for (message, hint) in warnings {
                            self.report.warning(Some(span), message, hint);
                        }
                        let changed = text != written;
                        Some(Text::new(text, span, changed.then_some(written)))
                    }
                    Err((message, hint)) => {
                        self.report.error_hint(span, message, hint);
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

    /// A value that a function of `scalar`, `pattern`, `header` or `target` parses.
    pub(crate) fn parsed<T>(
        &mut self,
        node: Node,
        parse: fn(&str) -> Result<T, ValueError>,
    ) -> Option<Spanned<T>> {
        let text = self.text(node)?;
        self.parsed_text(text, parse)
    }

    fn parsed_text<T>(&mut self, text: Text, parse: fn(&str) -> Result<T, ValueError>) -> Option<Spanned<T>> {
        match parse(&text.text) {
            Ok(value) => Some(Spanned { value, span: text.span }),
            Err(error) => {
                self.value_error(&text, error);
                None
            }
        }
    }

    /// A flag.
    pub(crate) fn flag(&mut self, node: Node) -> Option<Spanned<bool>> {
        self.parsed(node, self.notation.flag())
    }

    /// One value or a list of them, never an empty list. Wrong ones are reported and left out.
    pub(crate) fn parsed_many<T>(
        &mut self,
        node: Node,
        parse: fn(&str) -> Result<T, ValueError>,
    ) -> Vec<Spanned<T>> {
        let separator = self.notation.separator();
        let texts = self.one_or_many(node, Decoder::text);
        let items = texts.into_iter().flat_map(|text| text.items(separator));
        items.filter_map(|item| self.parsed_text(item, parse)).collect()
    }

    /// Reports the error of a value.
    pub(crate) fn value_error(&mut self, text: &Text, error: ValueError) {
        if error == crate::config::values::target::USERINFO {
            // The value may hold a password.
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

    /// One value or a list of them, never an empty list. Wrong ones are reported and left out.
    pub(crate) fn one_or_many<T>(
        &mut self,
        node: Node,
        mut read: impl FnMut(&mut Self, Node) -> Option<T>,
    ) -> Vec<T> {
        match node.value {
            Value::List(items) if items.is_empty() => {
                self.report.error_hint(node.span, "this list is empty", "name one, or leave the key out");
                Vec::new()
            }
            Value::List(items) => items.into_iter().filter_map(|item| read(self, item)).collect(),
            _ => read(self, node).into_iter().collect(),
        }
    }

    /// A list, which may be empty.
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

    /// A path. A relative one starts from the folder of the file.
    pub(crate) fn path(&mut self, node: Node) -> Option<Spanned<PathBuf>> {
        let text = self.text(node)?;
        match substitution::not_empty(&text.text) {
            Ok(path) => Some(Spanned { value: self.resolve(path, text.span), span: text.span }),
            Err(error) => {
                self.value_error(&text, error);
                None
            }
        }
    }

    /// A path. A relative one starts from the folder of the file.
    pub(crate) fn resolve(&self, path: &str, span: Span) -> PathBuf {
        self.notation
            .dir(span)
            .join(path.strip_prefix("./").filter(|rest| !rest.starts_with('/')).unwrap_or(path))
    }
}
