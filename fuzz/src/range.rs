//! Ranges: what is sent lies within the file, and means what it says when it is written again.

use smolgate::file_server::range::{Part, part};

/// Checks the range that the bytes behind the first eight ask for, of a file whose length the first eight are.
pub fn holds(bytes: &[u8]) {
    let Some((length, value)) = bytes.split_first_chunk::<8>() else { return };
    let length = u64::from_le_bytes(*length);
    match part(value, length) {
        Part::Whole => {}
        Part::Unsatisfiable => assert!(value.contains(&b'-')),
        Part::Bytes(range) => {
            assert!(range.start < range.end && range.end <= length, "{range:?} of {length}");
            let again = format!("bytes={}-{}", range.start, range.end - 1);
            assert_eq!(part(again.as_bytes(), length), Part::Bytes(range));
            // One of several ranges is never chosen.
            let both = [value, b",0-0"].concat();
            assert_eq!(part(&both, length), Part::Whole);
        }
    }
}

/// Ranges of all forms, for files of several lengths.
pub fn seeds() -> Vec<Vec<u8>> {
    let values = [
        "bytes=0-0",
        "bytes=5-",
        "bytes=-5",
        "bytes=-0",
        "bytes=0-18446744073709551615",
        "bytes=18446744073709551616-",
        "bytes=2-1",
        "bytes=0-1,3-4",
        "bytes= 1 - 2 ,",
        "lines=1-2",
        "bytes",
    ];
    let lengths = [0, 1, 10, u64::MAX];
    let seed = |value: &str, length: u64| [&length.to_le_bytes(), value.as_bytes()].concat();
    values.iter().flat_map(|value| lengths.map(|length| seed(value, length))).collect()
}
