//! What is wrong with a head, for the program and for the person.

use std::fmt::{self, Write};

use crate::reason::Reason;

/// At most this many bytes of what a peer sent are shown in a detail.
const SHOWN_BYTES_MAX: usize = 40;

/// Why a head is not taken. Built only on failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code; it gives the status too.
    pub reason: Reason,
    /// One sentence for the person who sent it. What it quotes from the peer is cut short, and every
    /// byte that could mean something to a terminal, a log or HTML is written as `\xNN`.
    pub detail: String,
}

impl Refusal {
    #[cold]
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Refusal {
        Refusal { reason, detail: detail.into() }
    }

    /// The same fault, found in what a target answered.
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

/// Bytes of a peer, made safe to print: anywhere, also inside HTML and log lines.
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
    fn what_a_peer_sent_is_shown_escaped_and_short() {
        assert_eq!(escaped(b"x-name"), "x-name");
        assert_eq!(escaped(b"a\r\n\x1b[31m<b>\"\\\xff"), "a\\x0d\\x0a\\x1b[31m\\x3cb\\x3e\\x22\\x5c\\xff");
        assert_eq!(escaped(&[b'a'; 41]), format!("{}...", "a".repeat(40)));
    }
}
