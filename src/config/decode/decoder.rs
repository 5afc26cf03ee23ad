//! Nodes become values, and every mistake on the way is noted.

use std::path::{Path, PathBuf};

use crate::config::diagnostics::{Report, Span, Spanned, quoted};
use crate::config::inputs::Inputs;
use crate::config::syntax::{Node, Value};
use crate::config::values::{ValueError, substitution};

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
                return match substitution::expand(&written, self.dir, self.inputs) {
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
        if error == crate::config::values::target::USERINFO {
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
        match substitution::not_empty(&text.text) {
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
