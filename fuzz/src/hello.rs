//! Client hellos: the facts do not depend on segments and records.

use smolgate::http::HostKey;
use smolgate::tls::{HELLO_BYTES_MAX, Hello, HelloError, HelloScan, parse_hello};

use crate::cuts;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    name: Option<Vec<u8>>,
    protocols: Vec<Vec<u8>>,
}

/// Checks that all prefixes with a result, read at once or byte by byte, in these records or in others, have
/// the same result. A server name must be one that rules accept.
pub fn holds(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(HELLO_BYTES_MAX)];
    let outcome = cuts::check(bytes, |bytes| parse(bytes, &mut HelloScan::default()));
    let mut scan = HelloScan::default();
    let mut beginnings = cuts::ends(bytes).into_iter().map(|end| parse(&bytes[..end], &mut scan));
    assert_eq!(beginnings.find(|early| *early != Ok(None)).unwrap_or(Ok(None)), outcome, "byte by byte");
    let Ok(Some(seen)) = outcome else { return };
    if let Some(name) = &seen.name {
        let key = HostKey::new(name).expect("a name is a host");
        assert_eq!(key.as_bytes(), name, "a name has the form of compared hosts");
    }
    let message = message(bytes);
    for size in [1, 16, 100, 512] {
        let records = records(&message, size);
        if records.len() <= HELLO_BYTES_MAX {
            let again = parse(&records, &mut HelloScan::default());
            assert_eq!(again, Ok(Some(seen.clone())), "in records of {size}");
        }
    }
}

fn parse(bytes: &[u8], scan: &mut HelloScan) -> Result<Option<Seen>, HelloError> {
    let see = |hello: Hello<'_>| Seen {
        name: hello.server_name.map(|name| name.as_bytes().to_vec()),
        protocols: hello.protocols().map(<[u8]>::to_vec).collect(),
    };
    Ok(parse_hello(bytes, scan)?.map(see))
}

/// The message from its records, as far as they are complete.
fn message(mut bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    while let [22, 3, _, high, low, rest @ ..] = bytes
        && let Some((payload, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))
    {
        message.extend_from_slice(payload);
        bytes = rest;
    }
    let length = message[1..4].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    message.truncate(4 + length);
    message
}

fn records(message: &[u8], size: usize) -> Vec<u8> {
    let record = |payload: &[u8]| {
        let length = u16::try_from(payload.len()).expect("a small record").to_be_bytes();
        [&[22, 3, 1], &length[..], payload].concat()
    };
    message.chunks(size).flat_map(record).collect()
}

/// The captured hellos, whole and in small records.
pub fn seeds() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/hellos");
    let captured = std::fs::read_dir(folder).expect("the folder of hellos").map(|entry| {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a hello");
        let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits");
        (0..digits.len()).step_by(2).map(byte).collect::<Vec<u8>>()
    });
    captured.flat_map(|hello| [records(&message(&hello), 64), hello]).collect()
}
