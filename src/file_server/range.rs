//! The one range of a `Range` field (RFC 9110, section 14.2).

use std::ops::Range;

use crate::http::list_items;

/// The part of a file that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it: there is no range, or one that is not understood, or several. A server may answer several ranges
    /// with the whole (RFC 9110, section 14.2). To build many parts for one small request would cost too much.
    Whole,
    /// These bytes, at least one.
    Bytes(Range<u64>),
    /// No byte of the file is in the range.
    Unsatisfiable,
}

/// Reads the value of a `Range` field for a file of `length` bytes.
pub fn part(value: &[u8], length: u64) -> Part {
    let Some((unit, ranges)) = split_once(value, b'=') else { return Part::Whole };
    if !unit.trim_ascii().eq_ignore_ascii_case(b"bytes") {
        return Part::Whole;
    }
    let mut ranges = list_items(ranges);
    match (ranges.next(), ranges.next()) {
        (Some(range), None) => one(range, length).unwrap_or(Part::Whole),
        _ => Part::Whole,
    }
}

/// Reads one range. `None` if it is not valid, and then it does not count.
fn one(range: &[u8], length: u64) -> Option<Part> {
    let (first, last) = split_once(range, b'-')?;
    let (first, last) = (first.trim_ascii(), last.trim_ascii());
    if first.is_empty() {
        // The last bytes. An empty file has none, and a part cannot be empty, so it is sent as a whole.
        let count = number(last)?.min(length);
        return Some(match (count, length) {
            (_, 0) => Part::Whole,
            (0, _) => Part::Unsatisfiable,
            (count, length) => Part::Bytes(length - count..length),
        });
    }
    let first = number(first)?;
    let end = match last {
        b"" => length,
        last => {
            let last = number(last)?;
            if last < first {
                return None;
            }
            last.saturating_add(1).min(length)
        }
    };
    Some(if first < length { Part::Bytes(first..end) } else { Part::Unsatisfiable })
}

/// Digits. A number that is too large stands for the largest.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(at, bytes)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_gives_its_bytes() {
        for (value, length, bytes) in [
            ("bytes=0-0", 10, 0..1),
            ("bytes=0-9", 10, 0..10),
            ("bytes=2-", 10, 2..10),
            ("bytes=-3", 10, 7..10),
            ("bytes=-30", 10, 0..10),
            ("bytes=5-100", 10, 5..10),
            ("Bytes=5-6", 10, 5..7),
            ("bytes= 5 - 6 ,", 10, 5..7),
            ("bytes=0-18446744073709551615", 10, 0..10),
            ("bytes=0-99999999999999999999999", 10, 0..10),
            ("bytes=-99999999999999999999999", 10, 0..10),
        ] {
            assert_eq!(part(value.as_bytes(), length), Part::Bytes(bytes), "{value}");
        }
    }

    #[test]
    fn a_range_behind_the_end_cannot_be_satisfied() {
        for (value, length) in [
            ("bytes=10-", 10),
            ("bytes=10-11", 10),
            ("bytes=99999999999999999999999-", 10),
            ("bytes=-0", 10),
            ("bytes=0-", 0),
            ("bytes=0-0", 0),
        ] {
            assert_eq!(part(value.as_bytes(), length), Part::Unsatisfiable, "{value} of {length}");
        }
    }

    #[test]
    fn what_is_no_single_range_is_answered_with_the_whole() {
        let many = format!("bytes={}0-0", "0-0,".repeat(10_000));
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=3-2",
            "bytes=0-1,3-4",
            "bytes=-5,0-1",
            "lines=0-1",
            "bytes=0--1",
            "bytes=+1-2",
            "bytes=0x1-2",
            "bytes 0-1",
            &many,
        ] {
            assert_eq!(part(value.as_bytes(), 10), Part::Whole, "{value}");
        }
        assert_eq!(part(b"bytes=-5", 0), Part::Whole);
    }
}
