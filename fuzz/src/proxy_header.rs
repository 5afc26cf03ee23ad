//! PROXY headers: one reading for every prefix, and a header that was read can be written again.

use smolgate::proxy_protocol::{HEADER_BYTES_MAX, Version, parse, write};

use crate::cuts;

/// Checks that all prefixes with a result have the same result, that a header lies within the input, and that
/// its addresses survive a write in either version.
pub fn holds(bytes: &[u8]) {
    let Ok(Some(header)) = cuts::check(bytes, parse) else { return };
    assert!(header.len <= bytes.len().min(HEADER_BYTES_MAX));
    assert_eq!(parse(&bytes[..header.len]), Ok(Some(header)), "without the bytes behind it");
    assert_eq!(parse(&bytes[..header.len - 1]), Ok(None), "less one byte");
    let Some((client, server)) = header.addresses else { return };
    for version in [Version::V1, Version::V2] {
        let mut written = Vec::new();
        write(version, client, server, &mut written);
        let again = parse(&written).expect("a valid header").expect("a whole header");
        assert_eq!((again.addresses, again.len), (header.addresses, written.len()));
    }
}

/// Headers of both versions, with and without optional parts.
pub fn seeds() -> Vec<Vec<u8>> {
    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    // Addresses; an identity; TLS information with the version.
    let more: &[u8] =
        &[5, 0, 2, 7, 7, 0x20, 0, 15, 1, 0, 0, 0, 0, 0x21, 0, 7, b'T', b'L', b'S', b'v', b'1', b'.', b'3'];
    let v4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 2, 3, 232, 1, 187];
    let binary = |kind: u8, family: u8, body: &[u8]| {
        [SIGNATURE, &[kind, family, 0, body.len() as u8], body, b"GET"].concat()
    };
    let mut seeds = vec![
        binary(0x21, 0x11, v4),
        binary(0x21, 0x11, &[v4, more].concat()),
        binary(0x21, 0x11, &[v4, &[3, 0, 4, 1, 2, 3, 4]].concat()),
        binary(0x21, 0x21, &[[9; 36].as_slice(), more].concat()),
        binary(0x21, 0x31, &[0; 216]),
        binary(0x20, 0x00, b""),
    ];
    for line in [
        "PROXY TCP4 192.0.2.1 198.51.100.2 1000 443\r\nGET",
        "PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 0 65535\r\n",
        "PROXY UNKNOWN whatever\r\n",
    ] {
        seeds.push(line.into());
    }
    seeds
}
