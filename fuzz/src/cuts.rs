//! Bytes that arrive in pieces.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Inputs up to this length are cut at every place, longer ones at so many places, chosen by content.
const CUTS: usize = 24;

/// Lengths of prefixes of these bytes, in order; the last is the whole.
pub fn ends(bytes: &[u8]) -> Vec<usize> {
    let place = |number: usize| {
        let mut hasher = DefaultHasher::new();
        (number, bytes).hash(&mut hasher);
        hasher.finish() as usize % bytes.len()
    };
    let mut ends: Vec<usize> = match bytes.len() {
        0..=CUTS => (0..bytes.len()).collect(),
        _ => (0..CUTS).map(place).collect(),
    };
    ends.sort_unstable();
    ends.push(bytes.len());
    ends
}

/// Parses one prefix after the other. Either none has a result, or from one on all have the same result: more
/// bytes must not change a result.
pub fn check<T: PartialEq + Debug, E: PartialEq + Debug>(
    bytes: &[u8],
    mut parse: impl FnMut(&[u8]) -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let whole = parse(bytes);
    let mut is_decided = false;
    for end in ends(bytes) {
        match parse(&bytes[..end]) {
            Ok(None) => assert!(!is_decided, "an outcome is taken back at {end} of {} bytes", bytes.len()),
            early => {
                assert_eq!(early, whole, "the outcome at {end} of {} bytes", bytes.len());
                is_decided = true;
            }
        }
    }
    whole
}
