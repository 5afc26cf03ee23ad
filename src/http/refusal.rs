//! The refusal of a head: a code for programs, a detail for people.

use std::fmt::{self, Write};

use crate::reason::Reason;

/// Bytes of a peer that a detail shows at most.
const SHOWN_BYTES_MAX: usize = 40;

/// The reason why a head is refused. Built only on failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code, which also gives the status.
    pub reason: Reason,
    /// A sentence for the sender of the head. Quotes from the peer are cut short. Bytes that could have a
    /// meaning to a terminal, a log or HTML are written as `\xNN`.
    pub detail: String,
}

impl Refusal {
    #[cold]
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Refusal {
        Refusal { reason, detail: detail.into() }
    }

    /// The refusal for this fault in a response of a target.
    #[cold]
    pub(crate) fn of_response(self) -> Refusal {
        let reason = match self.reason {
            Reason::HeadTooLarge => Reason::ResponseTooLarge,
            _ => Reason::ResponseMalformed,
        };
        Refusal { reason, ..self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.code(), self.detail)
    }
}

impl std::error::Error for Refusal {}

/// Bytes of a peer, made safe to print anywhere, also in HTML and log lines.
#[cold]
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes.iter().take(SHOWN_BYTES_MAX) {
        if byte.is_ascii_alphanumeric() || b" -._~:/?@[]()=,;*+%#".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    if bytes.len() > SHOWN_BYTES_MAX {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn bytes_of_a_peer_are_shown_escaped_and_short() {
        assert_eq!(escaped(b"x-name"), "x-name");
        assert_eq!(escaped(b"a\r\n\x1b[31m<b>\"\\\xff"), "a\\x0d\\x0a\\x1b[31m\\x3cb\\x3e\\x22\\x5c\\xff");
        assert_eq!(escaped(&[b'a'; 41]), format!("{}...", "a".repeat(40)));
    }
}
