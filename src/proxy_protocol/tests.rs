//! Tests of valid and invalid headers.

use proptest::prelude::*;

use super::header::{BINARY_PREFIX, SIGNATURE, TYPE_CHECKSUM, TYPE_UNIQUE_ID, crc32c};
use super::*;
use std::net::SocketAddr;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A header of version 2 with this command, family and body.
fn binary(kind: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[kind, family], &length, body].concat()
}

/// IPv4 addresses: 192.0.2.1:1000 to 198.51.100.2:443.
const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 3, 232, 1, 187];

fn more(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind], &u16::try_from(value.len()).unwrap().to_be_bytes()[..], value].concat()
}

#[track_caller]
fn check(bytes: &[u8], addresses: Option<(&str, &str)>) {
    let addresses = addresses.map(|(client, server)| (address(client), address(server)));
    let header = Header { addresses, len: bytes.len() };
    for end in 0..bytes.len() {
        assert_eq!(parse(&bytes[..end]), Ok(None), "cut at {end}");
    }
    assert_eq!(parse(bytes), Ok(Some(header)));
    assert_eq!(parse(&[bytes, b"GET / HTTP/1.1\r\n"].concat()), Ok(Some(header)), "with more behind it");
}

#[test]
fn valid_text_headers_are_read() {
    let v4 = Some(("192.0.2.1:1000", "198.51.100.2:443"));
    check(b"PROXY TCP4 192.0.2.1 198.51.100.2 1000 443\r\n", v4);
    check(b"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", Some(("[2001:db8::1]:0", "[::1]:65535")));
    check(b"PROXY UNKNOWN\r\n", None);
    check(b"PROXY UNKNOWN whatever else stands there\r\n", None);
    let longest = format!("PROXY TCP6 {0} {0} 65535 65535\r\n", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    assert_eq!(parse(longest.as_bytes()).unwrap().map(|header| header.len), Some(longest.len()));
}

#[test]
fn invalid_text_headers_are_refused() {
    for bytes in [
        &b"PROXY TCP4 192.0.2.1 198.51.100.2 1000 443\n"[..],
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1000\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1000 443 \r\n",
        b"PROXY TCP4  192.0.2.1 198.51.100.2 1000 443\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 +1000 443\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 01000 443\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1000 65536\r\n",
        b"PROXY TCP4 192.0.2.01 198.51.100.2 1000 443\r\n",
        b"PROXY TCP4 ::1 ::1 1000 443\r\n",
        b"PROXY TCP6 192.0.2.1 198.51.100.2 1000 443\r\n",
        b"PROXY UDP4 192.0.2.1 198.51.100.2 1000 443\r\n",
        b"PROXY unknown\r\n",
        b"PROXY \r\n",
        b"PROXY TCP4 \xff\r\n",
    ] {
        assert!(matches!(parse(bytes), Err(HeaderError::Malformed(_))), "{}", bytes.escape_ascii());
    }
    let endless = [&b"PROXY UNKNOWN "[..], &[b'x'; 93]].concat();
    assert_eq!(parse(&endless[..106]), Ok(None));
    assert!(matches!(parse(&endless), Err(HeaderError::Malformed(_))));
    for bytes in [&b"GET / HTTP/1.1"[..], b"PROXX", b"P\0", b"\r\n\r\n\x01", b"\x16\x03"] {
        assert_eq!(parse(bytes), Err(HeaderError::Absent), "{}", bytes.escape_ascii());
    }
    assert_eq!(parse(b""), Ok(None));
}

#[test]
fn binary_headers_of_every_family_are_read() {
    let v4 = Some(("192.0.2.1:1000", "198.51.100.2:443"));
    check(&binary(0x21, 0x11, &V4), v4);
    let v6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0; 15], &[1], &[0, 80, 1, 187]].concat();
    check(&binary(0x21, 0x21, &v6), Some(("[2001:db8::1]:80", "[::1]:443")));
    check(&binary(0x20, 0x00, &[]), None);
    check(&binary(0x20, 0x11, &V4), None);
    check(&binary(0x21, 0x00, b"whatever"), None);
    check(&binary(0x21, 0x31, &[b'/'; 216]), None);
    check(&binary(0x21, 0x12, &V4), None);
}

#[test]
fn extensions_behind_the_addresses_are_checked_and_skipped() {
    let v4 = Some(("192.0.2.1:1000", "198.51.100.2:443"));
    let with = |parts: &[Vec<u8>]| binary(0x21, 0x11, &[&V4[..], &parts.concat()].concat());
    let tls = [&[1, 0, 0, 0, 0][..], &more(0x21, b"TLSv1.3"), &more(0x23, b"X")].concat();
    check(&with(&[more(1, b"h2"), more(2, b"example.org"), more(0x20, &tls), more(4, &[0; 9])]), v4);
    check(&with(&[more(TYPE_UNIQUE_ID, &[7; 128]), more(0xee, b"")]), v4);
    for (what, bytes) in [
        ("half a prefix", with(&[vec![1, 0]])),
        ("a length past the end", with(&[vec![1, 0, 3, b'h', b'2']])),
        ("one too many", with(&[more(1, b"h2"), vec![0]])),
        ("a long identity", with(&[more(TYPE_UNIQUE_ID, &[7; 129])])),
        ("TLS without its beginning", with(&[more(0x20, &[1, 0, 0, 0])])),
        (
            "a length out of the part on TLS",
            with(&[more(0x20, &[1, 0, 0, 0, 0, 0x21, 0, 9, 1]), more(1, b"12345678")]),
        ),
        ("a checksum of three bytes", with(&[more(TYPE_CHECKSUM, &[0; 3])])),
        ("a wrong checksum", with(&[more(TYPE_CHECKSUM, &[0; 4])])),
        ("too short for its addresses", binary(0x21, 0x11, &V4[..11])),
        ("another version", binary(0x31, 0x11, &V4)),
        ("another command", binary(0x22, 0x11, &V4)),
        ("another family", binary(0x21, 0x41, &V4)),
    ] {
        assert!(matches!(parse(&bytes), Err(HeaderError::Malformed(_))), "{what}: {:?}", parse(&bytes));
    }
    let longest = HEADER_BYTES_MAX - BINARY_PREFIX;
    assert!(matches!(parse(&binary(0x20, 0, &vec![0; longest])), Ok(Some(_))));
    assert_eq!(parse(&binary(0x20, 0, &vec![0; longest + 1])[..BINARY_PREFIX]), Err(HeaderError::TooLong));
}

#[test]
fn a_correct_checksum_is_accepted() {
    // RFC 3720, appendix B.4.
    assert_eq!(crc32c([0; 32].into_iter()), 0x8a91_36aa);
    assert_eq!(crc32c(0..32), 0x46dd_794e);
    let mut bytes =
        binary(0x21, 0x11, &[&V4[..], &more(TYPE_CHECKSUM, &[0; 4]), &more(2, b"example.org")].concat());
    let sum = crc32c(bytes.iter().copied()).to_be_bytes();
    let at = BINARY_PREFIX + V4.len() + 3;
    bytes[at..at + 4].copy_from_slice(&sum);
    check(&bytes, Some(("192.0.2.1:1000", "198.51.100.2:443")));
    bytes[BINARY_PREFIX] ^= 1;
    assert_eq!(parse(&bytes), Err(HeaderError::Malformed("a wrong checksum")));
}

#[test]
fn headers_are_written_as_the_document_shows() {
    let mut out = Vec::new();
    write(Version::V1, address("192.0.2.1:1000"), address("198.51.100.2:443"), &mut out);
    assert_eq!(out, b"PROXY TCP4 192.0.2.1 198.51.100.2 1000 443\r\n");
    out.clear();
    write(Version::V1, address("192.0.2.1:1"), address("[2001:db8::1]:2"), &mut out);
    assert_eq!(out, b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1 2\r\n");
    out.clear();
    write(Version::V2, address("192.0.2.1:1000"), address("198.51.100.2:443"), &mut out);
    assert_eq!(out, binary(0x21, 0x11, &V4));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_written_header_is_read_back(client: SocketAddr, server: SocketAddr, second: bool) {
        // A header carries neither a scope nor a flow label.
        let plain = |address: SocketAddr| SocketAddr::new(address.ip(), address.port());
        let (client, server) = (plain(client), plain(server));
        let mut out = Vec::new();
        write(if second { Version::V2 } else { Version::V1 }, client, server, &mut out);
        let header = parse(&out).unwrap().unwrap();
        prop_assert_eq!(header.len, out.len());
        let (read_client, read_server) = header.addresses.unwrap();
        let same = |a: SocketAddr, b: SocketAddr| (a.ip().to_canonical(), a.port()) == (b.ip().to_canonical(), b.port());
        prop_assert!(same(read_client, client) && same(read_server, server));
    }

    #[test]
    fn no_bytes_cause_a_panic(kind: u8, family: u8, body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&binary(0x20 | kind & 1, family & 0x33, &body));
        let _ = parse(&binary(0x21, 0x11, &[&V4[..], &body].concat()));
        let _ = parse(&[&b"PROXY "[..], &body].concat());
        let _ = parse(&body);
    }
}
