//! Characters that a log line must not contain.
//!
//! JSON escapes the controls below U+0020, and no others. The rest, if a client sends them, could control a
//! terminal or change the order in which a line is shown.

use std::fmt::Write;

/// Whether a terminal or an editor acts on the character: DEL and C1 controls (ECMA-48), line and
/// paragraph separators, and marks for the direction of text (Unicode, UAX #9).
fn is_hidden(char: char) -> bool {
    matches!(
        char,
        '\u{7f}'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
    )
}

/// Replaces each such character by `\uXXXX`, which is an equal character in a string of JSON. Replaces bytes
/// that are not UTF-8.
pub(super) fn escape(line: Vec<u8>) -> Vec<u8> {
    // Nearly every line needs no change.
    if line.iter().all(|byte| *byte < 0x7f) {
        return line;
    }
    let mut escaped = String::with_capacity(line.len() + 16);
    for char in String::from_utf8_lossy(&line).chars() {
        match is_hidden(char) {
            // Writing to a String cannot fail.
            true => _ = write!(escaped, "\\u{:04x}", u32::from(char)),
            false => escaped.push(char),
        }
    }
    escaped.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_control_and_direction_characters_are_escaped() {
        let escaped = |text: &str| String::from_utf8(escape(text.into())).unwrap();
        assert_eq!(escaped("plain \x1b\n"), "plain \x1b\n");
        assert_eq!(escaped("Grüße 日本 👍 שלום\n"), "Grüße 日本 👍 שלום\n");
        assert_eq!(escaped("a\u{9b}31m\u{7f}\u{85}b"), "a\\u009b31m\\u007f\\u0085b");
        assert_eq!(
            escaped("\u{202e}txt\u{2069}\u{200f}\u{2028}\u{61c}"),
            "\\u202etxt\\u2069\\u200f\\u2028\\u061c"
        );
        assert_eq!(escape(b"a\xff".to_vec()), "a\u{fffd}".as_bytes());
    }
}
