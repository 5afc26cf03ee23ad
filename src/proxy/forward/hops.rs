//! `Via` and `Max-Forwards`: the intermediaries that a message has passed and may still pass (RFC 9110, sections
//! 7.6.3 and 7.6.2). `Via` shows that a request is in a loop.

use crate::http::{Fields, Method, Name, RequestHead, Version, list_items};

/// The name of every gate in `Via`.
const PSEUDONYM: &[u8] = b"smolgate";

/// How many gates a request may have passed before. All gates share one name, and some stand behind one another, but
/// not six in a row.
const PASSES_MAX: usize = 4;

/// The `Via` line for a message that was received in this version.
pub(super) fn via(received: Version) -> &'static [u8] {
    match received {
        Version::Http11 => b"Via: 1.1 smolgate\r\n",
        Version::Http10 => b"Via: 1.0 smolgate\r\n",
        Version::Http2 => b"Via: 2.0 smolgate\r\n",
    }
}

/// Whether a request has passed so many gates that a target must lead back here.
#[inline(always)]
pub(in crate::proxy) fn is_in_loop(fields: Fields<'_>) -> bool {
    fields.get(Name::Via).is_some() && count_gates(fields) > PASSES_MAX
}

/// The number of gates in `Via`. A function of its own, because nearly all requests have no `Via`.
#[cold]
fn count_gates(fields: Fields<'_>) -> usize {
    let via = fields.iter().filter(|field| field.known() == Name::Via);
    via.flat_map(|field| list_items(field.value())).filter(|hop| is_a_gate(hop)).count()
}

/// Whether an item of `Via` is a gate: `1.1 smolgate`, maybe with a comment behind it.
fn is_a_gate(hop: &[u8]) -> bool {
    let mut words = hop.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    words.nth(1).is_some_and(|name| name.eq_ignore_ascii_case(PSEUDONYM))
}

/// The value of `Max-Forwards`, which counts for `OPTIONS` and `TRACE`; `None` if it is not a number.
#[inline]
pub(in crate::proxy) fn max_forwards(head: &RequestHead<'_>) -> Option<u64> {
    let counts = matches!(head.known_method, Method::Options | Method::Trace);
    if counts { parse_max_forwards(head.fields) } else { None }
}

/// The number in `Max-Forwards`. A number that is too large becomes the largest one.
#[cold]
fn parse_max_forwards(fields: Fields<'_>) -> Option<u64> {
    let digits = std::str::from_utf8(fields.get(Name::MaxForwards)?).ok()?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_known_by_its_name_alone() {
        for hop in ["1.1 smolgate", "1.0\tSmolGate", "HTTP/1.1  smolgate (a comment)", "2 smolgate"] {
            assert!(is_a_gate(hop.as_bytes()), "{hop}");
        }
        for hop in ["smolgate", "1.1 smolgate2", "1.1 other (smolgate)", "1.1 other smolgate", "1.1", ""] {
            assert!(!is_a_gate(hop.as_bytes()), "{hop}");
        }
        for version in [Version::Http10, Version::Http11, Version::Http2] {
            let line = via(version).strip_prefix(b"Via: ").and_then(|line| line.strip_suffix(b"\r\n"));
            assert!(is_a_gate(line.unwrap()), "the line of smolgate itself");
        }
    }
}
