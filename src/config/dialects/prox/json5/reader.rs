//! The reader: one pass over the text.

use super::cursor::{Fault, Read, Reader, number};
use crate::config::diagnostics::{Report, Span, Spanned, did_you_mean, quoted};
use crate::config::syntax::{Node, Tree, Value, mask_secret};

/// Nodes in a tree.
const NODES_MAX: usize = 2_000_000;

/// Depth of collections. Without the values of `json`, a file needs 9.
const DEPTH_MAX: usize = 32;

/// Parses one text. Returns `None` if it is not JSON5, with an error that tells the place.
pub(in crate::config::dialects::prox) fn parse(text: &str, file: u32, report: &mut Report) -> Option<Tree> {
    let mut reader =
        Reader { text, at: 0, file, nodes_left: NODES_MAX, secret: None, in_json: false, report };
    match reader.document() {
        Ok(root) => Some(Tree { root, tag: None }),
        Err(Fault { span, message, hint }) => {
            reader.mask_unread_secrets();
            report.error_hint(span, message, hint);
            None
        }
    }
}

/// Whether the value of this key is a secret. This includes misspelt keys.
fn is_secret(key: &str) -> bool {
    did_you_mean(key, ["token", "secret_key"]).is_some()
}

impl Reader<'_, '_> {
    fn document(&mut self) -> Read<Node> {
        self.blanks()?;
        if self.peek().is_none() {
            return Err(self.fault(self.at, "this file is empty", "a file of prox begins with `{`"));
        }
        let root = self.value(0)?;
        self.blanks()?;
        match self.peek() {
            None => Ok(root),
            Some(_) => Err(self.fault(
                self.at,
                "the file goes on behind its value",
                "is a bracket closed too early?",
            )),
        }
    }

    /// Skips white space and comments.
    fn blanks(&mut self) -> Read<()> {
        loop {
            let rest = &self.text[self.at..];
            let blank = rest.len()
                - rest.trim_start_matches(|char: char| char.is_whitespace() || char == '\u{feff}').len();
            self.at += blank;
            let rest = &rest[blank..];
            if rest.starts_with("//") {
                self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            } else if let Some(comment) = rest.strip_prefix("/*") {
                match comment.find("*/") {
                    Some(end) => self.at += end + 4,
                    None => {
                        return Err(self.fault(self.at, "this comment is not closed", "end it with `*/`"));
                    }
                }
            } else {
                return Ok(());
            }
        }
    }

    fn value(&mut self, depth: usize) -> Read<Node> {
        let start = self.at;
        self.nodes_left = self.nodes_left.checked_sub(1).ok_or_else(|| {
            self.fault(start, "this file holds too many values", "write it as several files")
        })?;
        if depth > DEPTH_MAX {
            return Err(self.fault(start, "collections stand too deep inside each other", ""));
        }
        match self.peek() {
            Some('{') => self.map(depth),
            Some('[') => self.list(depth),
            Some(quote @ ('"' | '\'')) => {
                let text = self.string(quote)?;
                Ok(Node::new(self.span(start), Value::Scalar(text)))
            }
            _ => self.word(),
        }
    }

    /// `null`, `true`, `false` or a number.
    fn word(&mut self) -> Read<Node> {
        let start = self.at;
        let rest = &self.text[start..];
        let end =
            rest.find(|char: char| !(char.is_alphanumeric() || "_$.+-".contains(char))).unwrap_or(rest.len());
        let word = &rest[..end];
        let value = match word {
            "" => {
                let message = match self.peek() {
                    None => "the file ends too early: a value is missing".to_owned(),
                    Some(char) => format!("`{char}` cannot begin a value"),
                };
                return Err(self.fault(start, message, ""));
            }
            "null" => Value::Null,
            "true" | "false" => Value::Scalar(word.to_owned()),
            _ => match number(word) {
                Some(number) => Value::Scalar(number),
                None => {
                    let message = format!("{} is no value", quoted(word));
                    return Err(Fault {
                        span: self.span_of(start, end),
                        message,
                        hint: "a text stands in quotes",
                    });
                }
            },
        };
        self.at += end;
        Ok(Node::new(self.span(start), value))
    }

    fn list(&mut self, depth: usize) -> Read<Node> {
        let start = self.at;
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.blanks()?;
            if self.closes(']') {
                return Ok(Node::new(self.span(start), Value::List(items)));
            }
            items.push(self.value(depth + 1)?);
            self.separator(']', start)?;
        }
    }

    fn map(&mut self, depth: usize) -> Read<Node> {
        let start = self.at;
        self.at += 1;
        let mut entries: Vec<(Spanned<String>, Node)> = Vec::new();
        loop {
            self.blanks()?;
            if self.closes('}') {
                return Ok(Node::new(self.span(start), Value::Map(entries)));
            }
            let key = self.key(start)?;
            self.blanks()?;
            if !self.closes(':') {
                let message = format!("a `:` is missing behind {}", quoted(&key.value));
                return Err(self.fault(self.at, message, ""));
            }
            self.blanks()?;
            let outer = self.secret;
            if is_secret(&key.value) {
                self.secret = outer.or(Some(self.at));
            }
            let node = match key.value.eq_ignore_ascii_case("json") && !self.in_json {
                true => self.as_json(depth + 1)?,
                false => self.value(depth + 1)?,
            };
            self.secret = outer;
            if is_secret(&key.value) {
                mask_secret(&node, self.report);
            }
            self.enter(&mut entries, key, node);
            self.separator('}', start)?;
        }
    }

    /// The value of `json`, as its text in JSON. The tree has no types, so that text is made here.
    fn as_json(&mut self, depth: usize) -> Read<Node> {
        self.in_json = true;
        let node = self.value(depth)?;
        self.in_json = false;
        let text = self.json(&node).to_string();
        // As Go writes it, so that a page around it cannot end early.
        let text = text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
        Ok(Node::new(node.span, Value::Scalar(text)))
    }

    fn json(&self, node: &Node) -> serde_json::Value {
        let is_text = self.text[node.span.start as usize..].starts_with(['"', '\'']);
        match &node.value {
            Value::Null => serde_json::Value::Null,
            Value::Scalar(text) if is_text => text.as_str().into(),
            // `Infinity` and `NaN` are no numbers of JSON.
            Value::Scalar(text) => serde_json::from_str(text).unwrap_or_default(),
            Value::List(items) => items.iter().map(|item| self.json(item)).collect(),
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| (key.value.clone(), self.json(node)));
                serde_json::Value::Object(entries.collect())
            }
        }
    }

    /// Adds an entry. The later one of two with one key counts, as in prox.
    fn enter(&mut self, entries: &mut Vec<(Spanned<String>, Node)>, key: Spanned<String>, node: Node) {
        match entries.iter().position(|(before, _)| before.value == key.value) {
            Some(before) => {
                let first = self.report.place(entries[before].0.span);
                let message =
                    format!("{} stands twice in one object, and this one counts", quoted(&key.value));
                self.report.warning(Some(key.span), message, format!("first at {first}"));
                entries[before] = (key, node);
            }
            None => entries.push((key, node)),
        }
    }

    /// Takes the comma behind a value. In front of the end of the collection, which began at `start`, none is needed.
    fn separator(&mut self, end: char, start: usize) -> Read<()> {
        self.blanks()?;
        match self.peek() {
            Some(',') => {
                self.at += 1;
                Ok(())
            }
            Some(char) if char == end => Ok(()),
            None => Err(self.fault(start, "this bracket is not closed", "")),
            Some(_) => {
                Err(self.fault(self.at, "a comma is missing here", "write one behind the value before"))
            }
        }
    }

    /// A key of the object that began at `start`: a string, or a name without quotes.
    fn key(&mut self, start: usize) -> Read<Spanned<String>> {
        let at = self.at;
        let value = match self.peek() {
            None => return Err(self.fault(start, "this bracket is not closed", "")),
            Some(quote @ ('"' | '\'')) => self.string(quote)?,
            Some(_) => {
                let rest = &self.text[at..];
                let is_part = |char: char| char.is_alphanumeric() || "_$".contains(char);
                let end = rest.find(|char: char| !is_part(char)).unwrap_or(rest.len());
                if end == 0 || rest.starts_with(|char: char| char.is_ascii_digit()) {
                    let hint = "a key is a name, or stands in quotes";
                    return Err(self.fault(at, "a key is missing here", hint));
                }
                self.at += end;
                rest[..end].to_owned()
            }
        };
        Ok(Spanned { value, span: self.span(at) })
    }

    /// Hides the rest of the text after an error, because no tree tells where a secret ends.
    fn mask_unread_secrets(&mut self) {
        let from = self.secret.or_else(|| {
            let mut end = self.at;
            let mut words =
                self.text[end..].split_inclusive(|char: char| !(char.is_alphanumeric() || char == '_'));
            let key = words.find(|word| {
                end += word.len();
                is_secret(word.trim_end_matches(|char: char| !(char.is_alphanumeric() || char == '_')))
            });
            key.map(|_| end)
        });
        if let Some(start) = from {
            self.report.mask(Span { file: self.file, start: start as u32, end: self.text.len() as u32 });
        }
    }
}
