//! The context of a trace: `traceparent` (W3C Trace Context, section 3.2).

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;

/// Bytes of a value of version 00: version, trace, parent and flags, with a hyphen between them.
const LENGTH: usize = 55;

/// The most bytes of a value of a later version, which may have more parts.
const LENGTH_MAX: usize = 128;

thread_local! {
    /// Two random numbers of this worker, and the number of traces that it began.
    static TRACES: Cell<Option<([u64; 2], u64)>> = const { Cell::new(None) };
}

/// Whether a value is well-formed. A trace or a parent of zeros is not (section 3.2.2).
pub(in crate::proxy) fn is_traceparent(value: &[u8]) -> bool {
    let is_hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_set = |part: &[u8]| is_hex(part) && part.iter().any(|byte| *byte != b'0');
    let Some((start, rest)) = value.split_at_checked(LENGTH) else { return false };
    let is_known = match &start[..2] {
        b"00" => rest.is_empty(),
        b"ff" => false,
        version => is_hex(version) && (rest.is_empty() || rest.starts_with(b"-")),
    };
    let hyphens = [2, 35, 52].iter().all(|at| start[*at] == b'-');
    let is_text = rest.iter().all(u8::is_ascii_graphic) && value.len() <= LENGTH_MAX;
    is_known && hyphens && is_set(&start[3..35]) && is_set(&start[36..52]) && is_hex(&start[53..]) && is_text
}

/// Writes the context of a new trace. Its flag says that it is recorded, because targets that follow the decision of their
/// caller would record nothing else.
pub(super) fn write_traceparent(out: &mut Vec<u8>) {
    let ([first, second], count) = TRACES.get().unwrap_or_else(|| {
        let random = || RandomState::new().build_hasher().finish();
        ([random(), random()], 0)
    });
    TRACES.set(Some(([first, second], count.wrapping_add(1))));
    let [high, low, parent] =
        [first ^ count, second.wrapping_add(count), first.wrapping_sub(count)].map(mixed);
    // A number that is zero is no identity. Writing to a vector cannot fail.
    let _ = write!(out, "00-{high:016x}{:016x}-{:016x}-01", low.max(1), parent.max(1));
}

/// Spreads a count over all bits (the finalizer of SplitMix64, Steele et al. 2014).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn only_well_formed_values_are_passed_on() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for value in [good, &good.replace("00-", "01-"), &format!("{}-more", good.replace("00-", "cc-"))] {
            assert!(is_traceparent(value.as_bytes()), "{value}");
        }
        let long = format!("{}-{}", good.replace("00-", "01-"), "x".repeat(LENGTH_MAX));
        for value in [
            "",
            "00",
            &good[1..],
            &good.to_uppercase(),
            &good.replace("00-", "ff-"),
            &good.replace("00-", "0x-"),
            &format!("{good}-more"),
            &format!("{}more", good.replace("00-", "01-")),
            &good.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &good.replace("b7ad6b7169203331", &"0".repeat(16)),
            &good.replace('-', "_"),
            &good.replace('b', "g"),
            &long,
        ] {
            assert!(!is_traceparent(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn each_new_trace_is_another_and_well_formed() {
        let mut seen = HashSet::new();
        for _ in 0..1_000 {
            let mut value = Vec::new();
            write_traceparent(&mut value);
            assert!(is_traceparent(&value), "{}", String::from_utf8_lossy(&value));
            assert!(seen.insert(value[3..35].to_vec()) && seen.insert(value[36..52].to_vec()));
        }
    }
}
