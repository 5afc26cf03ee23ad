//! What a message says of the programs it has passed and may still pass: `Via` and `Max-Forwards` (RFC 9110,
//! sections 7.6.3 and 7.6.2). A request that goes round in circles is known by the first.

use crate::http::{Fields, Method, Name, RequestHead, Version, list_items};

/// What every gate calls itself in `Via`.
const PSEUDONYM: &[u8] = b"smolgate";

/// How often a request may have passed a gate before. Some are behind one another, and all have the same name;
/// nobody has six of them in a row.
const PASSES_MAX: usize = 4;

/// The line that says that a message of this version has passed here.
pub(super) fn via(received: Version) -> &'static [u8] {
    match received {
        Version::Http11 => b"Via: 1.1 smolgate\r\n",
        Version::Http10 => b"Via: 1.0 smolgate\r\n",
    }
}

/// Whether a request has passed gates so often that a target must lead back here.
pub(in crate::proxy) fn go_in_circles(fields: Fields<'_>) -> bool {
    fields.get(Name::Via).is_some() && count_gates(fields) > PASSES_MAX
}

/// The number of gates in `Via`. Apart from the check for the field, which nearly all requests end with.
#[cold]
fn count_gates(fields: Fields<'_>) -> usize {
    let via = fields.iter().filter(|field| field.known() == Name::Via);
    via.flat_map(|field| list_items(field.value())).filter(|hop| is_a_gate(hop)).count()
}

/// `1.1 smolgate`, with or without a comment behind it.
fn is_a_gate(hop: &[u8]) -> bool {
    let mut words = hop.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    words.nth(1).is_some_and(|name| name.eq_ignore_ascii_case(PSEUDONYM))
}

/// How many more programs a request may pass, where that counts: for `OPTIONS` and `TRACE`, and where it is a
/// number. One that is too large to be counted is as good as any.
#[inline]
pub(in crate::proxy) fn left(head: &RequestHead<'_>) -> Option<u64> {
    let counts = matches!(head.known_method, Method::Options | Method::Trace);
    if counts { max_forwards(head.fields) } else { None }
}

#[cold]
fn max_forwards(fields: Fields<'_>) -> Option<u64> {
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
        for version in [Version::Http10, Version::Http11] {
            let line = via(version).strip_prefix(b"Via: ").and_then(|line| line.strip_suffix(b"\r\n"));
            assert!(is_a_gate(line.unwrap()), "our own is one");
        }
    }
}
