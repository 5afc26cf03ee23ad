//! The human form of an event: the message, then `name=value` for each field.
//!
//! A value with a space or a special character is written as a string of JSON, so that its end can be seen and it
//! cannot look like another field.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// Writes the fields of an event as text.
pub(super) struct TextFields;

impl<'writer> FormatFields<'writer> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Visitor { writer, separator: "", result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct Visitor<'writer> {
    writer: Writer<'writer>,
    separator: &'static str,
    result: fmt::Result,
}

impl Visitor<'_> {
    fn write(&mut self, field: &Field, value: &str) {
        if self.result.is_ok() {
            self.result = self.try_write(field.name(), value);
            self.separator = " ";
        }
    }

    fn try_write(&mut self, name: &str, value: &str) -> fmt::Result {
        self.writer.write_str(self.separator)?;
        match name {
            "message" => write_message(value, &mut self.writer),
            // Italics for the name, and a faint sign (ECMA-48, SGR).
            _ if self.writer.has_ansi_escapes() => {
                write!(self.writer, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m")?;
                write_value(value, &mut self.writer)
            }
            _ => {
                write!(self.writer, "{name}=")?;
                write_value(value, &mut self.writer)
            }
        }
    }
}

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field, &format!("{value:?}"));
    }
}

/// Writes a message. It may have several lines, such as the errors of a reload.
fn write_message(message: &str, out: &mut impl Write) -> fmt::Result {
    message.chars().try_for_each(|char| match char {
        '\n' => out.write_char(char),
        '\0'..' ' => write!(out, "\\u{:04x}", u32::from(char)),
        _ => out.write_char(char),
    })
}

/// Writes a value, with quotes where they are needed.
fn write_value(value: &str, out: &mut impl Write) -> fmt::Result {
    let is_special =
        |char: char| char.is_whitespace() || char.is_control() || matches!(char, '"' | '\\' | '=');
    if !value.is_empty() && !value.contains(is_special) {
        return out.write_str(value);
    }
    out.write_str(&serde_json::Value::from(value).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_that_is_needed() {
        for (value, written) in [
            ("connect_refused", "connect_refused"),
            ("[::1]:80", "[::1]:80"),
            ("Grüße", "Grüße"),
            ("/a?b", "/a?b"),
            ("", "\"\""),
            ("two words", "\"two words\""),
            ("a=b", "\"a=b\""),
            ("a\\b", "\"a\\\\b\""),
            ("x\" reason=\"none", "\"x\\\" reason=\\\"none\""),
            ("a\n2026 ERROR b\x1b[31m", "\"a\\n2026 ERROR b\\u001b[31m\""),
        ] {
            let mut out = String::new();
            write_value(value, &mut out).unwrap();
            assert_eq!(out, written);
        }
    }

    #[test]
    fn a_message_has_lines_and_no_other_controls() {
        let mut out = String::new();
        write_message("reload refused:\n  a \"b\"\x1b[2J\r", &mut out).unwrap();
        assert_eq!(out, "reload refused:\n  a \"b\"\\u001b[2J\\u000d");
    }
}
