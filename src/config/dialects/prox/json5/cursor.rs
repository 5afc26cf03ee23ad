//! The place in a text, texts in quotes, and numbers.

use crate::config::diagnostics::{Report, Span};

/// An error that stops the parser.
pub(super) struct Fault {
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) hint: &'static str,
}

pub(super) type Read<T> = Result<T, Fault>;

pub(super) struct Reader<'t, 'r> {
    pub(super) text: &'t str,
    /// Bytes that were read.
    pub(super) at: usize,
    pub(super) file: u32,
    pub(super) nodes_left: usize,
    /// The start of the secret that is being read.
    pub(super) secret: Option<usize>,
    /// Whether this is a part of a value that is written as JSON.
    pub(super) in_json: bool,
    pub(super) report: &'r mut Report,
}

impl Reader<'_, '_> {
    pub(super) fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    pub(super) fn span(&self, start: usize) -> Span {
        Span { file: self.file, start: start as u32, end: self.at as u32 }
    }

    /// An error at the character at `start`.
    pub(super) fn fault(&self, start: usize, message: impl Into<String>, hint: &'static str) -> Fault {
        let end = self.text[start..].chars().next().map_or(start, |char| start + char.len_utf8());
        let span = Span { file: self.file, start: start as u32, end: end as u32 };
        Fault { span, message: message.into(), hint }
    }

    pub(super) fn span_of(&self, start: usize, length: usize) -> Span {
        Span { file: self.file, start: start as u32, end: (start + length) as u32 }
    }

    /// Takes a character, if it is the next one.
    pub(super) fn closes(&mut self, char: char) -> bool {
        let is_next = self.peek() == Some(char);
        self.at += if is_next { char.len_utf8() } else { 0 };
        is_next
    }

    /// A string between quotes of this kind.
    pub(super) fn string(&mut self, quote: char) -> Read<String> {
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
}

/// A number as JSON writes it, from one of JSON5. `None` if it is none.
pub(super) fn number(word: &str) -> Option<String> {
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
