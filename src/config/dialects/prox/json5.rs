//! JSON5 text becomes a tree in which every key and every value has its place.
//!
//! No crate that reads JSON5 keeps places and bounds depth. Everything that prox's reader takes is taken, and the rest of
//! JSON5 too: quotes of both kinds anywhere, and comments that hold any character.

use std::path::Path;
use std::sync::Arc;

use crate::config::diagnostics::{Report, Span, Spanned, did_you_mean, quoted};
use crate::config::syntax::{Node, Tree, Value, mask_secret};

/// Nodes in a tree.
const NODES_MAX: usize = 2_000_000;

/// Depth of collections. Without the values of `json`, a file needs 9.
const DEPTH_MAX: usize = 32;

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

/// Parses one text. Returns `None` if it is not JSON5, with an error that tells the place.
pub(super) fn parse(text: &str, file: u32, report: &mut Report) -> Option<Tree> {
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

/// An error that stops the parser.
struct Fault {
    span: Span,
    message: String,
    hint: &'static str,
}

type Read<T> = Result<T, Fault>;

struct Reader<'t, 'r> {
    text: &'t str,
    /// Bytes that were read.
    at: usize,
    file: u32,
    nodes_left: usize,
    /// The start of the secret that is being read.
    secret: Option<usize>,
    /// Whether this is a part of a value that is written as JSON.
    in_json: bool,
    report: &'r mut Report,
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

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    fn span(&self, start: usize) -> Span {
        Span { file: self.file, start: start as u32, end: self.at as u32 }
    }

    /// An error at the character at `start`.
    fn fault(&self, start: usize, message: impl Into<String>, hint: &'static str) -> Fault {
        let end = self.text[start..].chars().next().map_or(start, |char| start + char.len_utf8());
        let span = Span { file: self.file, start: start as u32, end: end as u32 };
        Fault { span, message: message.into(), hint }
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
            } else if rest.starts_with("/*") {
                match rest[2..].find("*/") {
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

    fn span_of(&self, start: usize, length: usize) -> Span {
        Span { file: self.file, start: start as u32, end: (start + length) as u32 }
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

    /// Takes a character, if it is the next one.
    fn closes(&mut self, char: char) -> bool {
        let is_next = self.peek() == Some(char);
        self.at += if is_next { char.len_utf8() } else { 0 };
        is_next
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

    /// A string between quotes of this kind.
    fn string(&mut self, quote: char) -> Read<String> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let at = self.at;
            match self.next() {
                Some(char) if char == quote => return Ok(text),
                Some('\\') => text.extend(self.escape(at)?),
                None | Some('\n' | '\r') => {
                    return Err(self.fault(start, "this text does not end in its line", "close its quote"));
                }
                Some(char) => text.push(char),
            }
        }
    }

    /// The character that an escape stands for. A line end behind the backslash is none.
    fn escape(&mut self, start: usize) -> Read<Option<char>> {
        Ok(Some(match self.next() {
            Some('\n' | '\u{2028}' | '\u{2029}') => return Ok(None),
            Some('\r') => {
                self.closes('\n');
                return Ok(None);
            }
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{b}',
            Some('0') => '\0',
            Some('x') => char::from_u32(self.hex(2, start)?).unwrap_or(char::REPLACEMENT_CHARACTER),
            Some('u') => self.unicode(start)?,
            Some(char) if !char.is_ascii_digit() => char,
            _ => {
                return Err(self.fault(
                    start,
                    "this escape stands for no character",
                    "write `\\\\` for a backslash",
                ));
            }
        }))
    }

    /// The character of `\uXXXX`, or of two of them. A half of a pair becomes U+FFFD.
    fn unicode(&mut self, start: usize) -> Read<char> {
        let first = self.hex(4, start)?;
        let is_pair = (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with("\\u");
        if !is_pair {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let before = self.at;
        self.at += 2;
        let second = self.hex(4, start)?;
        if !(0xdc00..0xe000).contains(&second) {
            self.at = before;
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self, digits: usize, start: usize) -> Read<u32> {
        let text = self.text.get(self.at..self.at + digits);
        let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let number = text.and_then(|text| u32::from_str_radix(text, 16).ok());
        let number =
            number.ok_or_else(|| self.fault(start, "this escape lacks its hexadecimal digits", ""))?;
        self.at += digits;
        Ok(number)
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

/// A number as JSON writes it, from one of JSON5. `None` if it is none.
fn number(word: &str) -> Option<String> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", word.strip_prefix('+').unwrap_or(word)),
    };
    if matches!(digits, "Infinity" | "NaN") {
        return Some(format!("{sign}{digits}"));
    }
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        let is_hex = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u64::from_str_radix(hex, 16).ok()).flatten()?;
        return Some(format!("{sign}{number}"));
    }
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_zeros = whole.len() > 1 && whole.starts_with('0');
    if !is_number(whole) || !is_number(part) || whole.len() + part.len() == 0 || has_zeros {
        return None;
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    let mut text = format!("{sign}{whole}");
    if !part.is_empty() {
        text.push('.');
        text.push_str(part);
    }
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits.is_empty() || !is_number(digits) {
            return None;
        }
        text.push('e');
        text.push_str(exponent);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, String> {
        let mut report = Report::default();
        let file = report.add_file(Path::new("a.json5"), &Arc::from(text));
        let tree = parse(text, file, &mut report);
        tree.map(|tree| tree.root).ok_or_else(|| report.finish().to_string())
    }

    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Null => "~".to_owned(),
            Value::Scalar(text) => format!("{text:?}"),
            Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| format!("{}:{}", key.value, shown(node)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn everything_of_json5_is_read() {
        for (text, expected) in [
            ("{}", "{}"),
            ("[1, 'a', \"b\",]", r#"["1" "a" "b"]"#),
            ("{a: 1, 'b c': true, \"d\": null, $_e9: [],}", r#"{a:"1" b c:"true" d:~ $_e9:[]}"#),
            ("// first\n{ /* a * b / c */ a: 'x' /** y/z **/ } // last", r#"{a:"x"}"#),
            (
                "[+1, -2.5, .5, 5., 0x1F, 1e3, 1E-2, Infinity, -NaN]",
                r#"["1" "-2.5" "0.5" "5" "31" "1e3" "1e-2" "Infinity" "-NaN"]"#,
            ),
            (r#"["\b\f\n\r\t\v\\\/\"\'\x41é😀\q"]"#, r#"["\u{8}\u{c}\n\r\t\u{b}\\/\"'Aé😀q"]"#),
            (
                "['one \\\ntwo \\\r\nthree', '\\ud800', '\\ud800\\u0041']",
                "[\"one two three\" \"\u{fffd}\" \"\u{fffd}A\"]",
            ),
            ("\u{feff}{\u{a0}a:\t1}", r#"{a:"1"}"#),
            ("{a: 1, a: {b: 2}}", r#"{a:{b:"2"}}"#),
            ("{sch\u{fc}: 1}", "{sch\u{fc}:\"1\"}"),
            (
                "{json: {b: '1', a: [1, +2.5, null, true, 'x<y'], json: {}}}",
                r#"{json:"{\"a\":[1,2.5,null,true,\"x\\u003cy\"],\"b\":\"1\",\"json\":{}}"}"#,
            ),
        ] {
            assert_eq!(read(text).map(|node| shown(&node)).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn every_error_has_its_place() {
        for (text, place, message) in [
            ("", "a.json5:1:1", "this file is empty"),
            ("{not json", "a.json5:1:6", "a `:` is missing behind `not`"),
            ("{ invalid }", "a.json5:1:11", "a `:` is missing"),
            ("{\n  a: yes\n}", "a.json5:2:6", "`yes` is no value"),
            ("[1 2]", "a.json5:1:4", "a comma is missing"),
            ("[,]", "a.json5:1:2", "`,` cannot begin a value"),
            ("{,}", "a.json5:1:2", "a key is missing"),
            ("{a: [1, 2}", "a.json5:1:10", "a comma is missing"),
            ("{a: [1, 2", "a.json5:1:5", "this bracket is not closed"),
            ("{a: ", "a.json5:1:5", "the file ends too early"),
            ("{1a: 2}", "a.json5:1:2", "a key is missing"),
            ("{a-b: 2}", "a.json5:1:3", "a `:` is missing"),
            ("{a: 'b\nc'}", "a.json5:1:5", "this text does not end in its line"),
            ("{a: '\\1'}", "a.json5:1:6", "this escape stands for no character"),
            ("{a: '\\u12'}", "a.json5:1:6", "this escape lacks its hexadecimal digits"),
            ("{} /* a", "a.json5:1:4", "this comment is not closed"),
            ("{} {}", "a.json5:1:4", "the file goes on behind its value"),
            ("{a: 01}", "a.json5:1:5", "`01` is no value"),
            ("{a: 1.2.3}", "a.json5:1:5", "`1.2.3` is no value"),
        ] {
            let error = read(text).map(|node| shown(&node)).unwrap_err();
            assert!(error.contains(place) && error.contains(message), "{text}\n{error}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(read(&format!("{}{}", "[".repeat(33), "]".repeat(33))).is_ok());
        assert!(read(&"[".repeat(100_000)).unwrap_err().contains("too deep"));
    }

    #[test]
    fn no_excerpt_shows_a_secret() {
        for text in [
            "{ admin: { token: 'sesame' oops } }",
            "{ admin: { tokne: 'sesame",
            "{ admin: { a: [, token: 'sesame' } }",
            "{ s3: { secret_key: 'sesame', x: = } }",
        ] {
            let error = read(text).map(|node| shown(&node)).unwrap_err();
            assert!(!error.contains("sesame"), "{error}");
        }
    }

    #[test]
    fn any_bytes_give_a_tree_or_an_error() {
        const TEXT: &str = "// c\n{ a: ['\\u00fc\\\n', 1.5e3, 0x1f,], \"b\": { c: null } /* d */ }";
        for end in (0..=TEXT.len()).filter(|end| TEXT.is_char_boundary(*end)) {
            for debris in ["", "{", "]", "'", "\\", "/*", "//", ",", "\u{fc}", "-", "\\u"] {
                let _ = read(&format!("{}{debris}", &TEXT[..end]));
                let _ = read(&format!("{}{debris}{}", &TEXT[..end], &TEXT[end..]));
            }
        }
    }
}
