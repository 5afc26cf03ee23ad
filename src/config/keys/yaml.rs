//! Values as YAML in the flow style.

use std::fmt::{Display, Write};

/// A list of values in quotes.
pub(crate) fn list<T: Display>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<String> = items.map(|item| quote(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

/// A value in double quotes. `$` is doubled, so that nothing is filled in.
pub(crate) fn quote(text: &str) -> String {
    quote_key(text).replace('$', "$$")
}

/// A key in double quotes. Nothing is ever filled in there.
pub(crate) fn quote_key(text: &str) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            char if char.is_control() || matches!(char, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out.push('"');
    out
}
