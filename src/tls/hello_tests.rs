//! Tests with hellos of rustls, OpenSSL, curl and Chromium, and with shapes that other browsers send. Each is
//! cut at every byte and put into records of several sizes. A hello is read when it is complete, never
//! before, and always with the same result.

use std::io::Read;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion, version};

use super::*;

/// Encrypted Client Hello (RFC 9849).
const ECH: u16 = 0xfe0d;

/// The content of a hello, in a form that can be compared.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    name: Option<String>,
    protocols: Vec<String>,
}

fn seen(name: Option<&str>, protocols: &[&str]) -> Seen {
    let protocols = protocols.iter().map(|&name| name.to_owned()).collect();
    Seen { name: name.map(str::to_owned), protocols }
}

fn see(hello: &Hello<'_>) -> Seen {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    Seen {
        name: hello.server_name.as_ref().map(|name| text(name.as_bytes())),
        protocols: hello.protocols().map(text).collect(),
    }
}

fn parse(bytes: &[u8]) -> Result<Option<Seen>, HelloError> {
    Ok(parse_hello(bytes, &mut HelloScan::default())?.as_ref().map(see))
}

/// Parses `bytes` cut at every byte, at once and bit by bit, and in records of other sizes.
#[track_caller]
fn check(bytes: &[u8], expected: &Seen) {
    let message = unframed(bytes);
    for size in [1, 16, 100, 512, RECORD_MAX] {
        let bytes = framed(&message, size);
        if bytes.len() > HELLO_BYTES_MAX {
            continue;
        }
        let mut scan = HelloScan::default();
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), Ok(None), "records of {size}, cut at {end}");
            assert!(matches!(parse_hello(&bytes[..end], &mut scan), Ok(None)), "bit by bit, at {end}");
        }
        assert_eq!(parse(&bytes).unwrap().as_ref(), Some(expected), "records of {size}");
        let last = parse_hello(&bytes, &mut scan).unwrap().unwrap();
        assert_eq!(&see(&last), expected, "bit by bit, records of {size}");
        // Bytes after the hello do not matter.
        let more = [&bytes[..], b"\x14\x03\x03\x00\x01\x01 and more"].concat();
        assert_eq!(parse(&more).unwrap().as_ref(), Some(expected));
    }
    assert_eq!(parse(bytes).unwrap().as_ref(), Some(expected));
}

/// The message, taken out of its records.
fn unframed(mut bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    while let [22, 3, _, high, low, rest @ ..] = bytes {
        let (payload, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        message.extend_from_slice(payload);
        bytes = rest;
    }
    assert!(bytes.is_empty());
    message
}

fn framed(message: &[u8], size: usize) -> Vec<u8> {
    let record = |payload: &[u8]| {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [&[22, 3, 1], &length[..], payload].concat()
    };
    message.chunks(size).flat_map(record).collect()
}

/// A hello of `tests/hellos`. Lines with `#` name its client and its content; the others are its bytes in
/// hexadecimal.
fn captured(text: &str) -> (Vec<u8>, Seen) {
    let said = |key: &str| {
        let mut comments = text.lines().filter_map(|line| line.strip_prefix("# "));
        comments.find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("no `{key}`")).trim()
    };
    let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    let protocols: Vec<&str> = said("protocols:").split_whitespace().collect();
    let name = Some(said("name:")).filter(|name| !name.is_empty());
    let expected = seen(name, &protocols);
    ((0..digits.len()).step_by(2).map(byte).collect(), expected)
}

#[test]
fn captured_hellos_are_read() {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hellos")).unwrap();
    let files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let (bytes, expected) = captured(&std::fs::read_to_string(&file).unwrap());
        assert!(bytes.len() > 200, "{} was not understood", file.display());
        check(&bytes, &expected);
    }
}

fn of_rustls(name: &str, protocols: &[&str], versions: &[&'static SupportedProtocolVersion]) -> Vec<u8> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut session = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    session.write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn hellos_of_rustls_are_read() {
    let both = &[&version::TLS13, &version::TLS12][..];
    let hello = of_rustls("example.org", &["h2", "http/1.1"], both);
    assert!(hello.len() > 1_200, "it carries a post-quantum key share");
    check(&hello, &seen(Some("example.org"), &["h2", "http/1.1"]));
    check(&of_rustls("a.example.org", &[], &[&version::TLS12]), &seen(Some("a.example.org"), &[]));
    check(&of_rustls("x.org", &["acme-tls/1"], &[&version::TLS13]), &seen(Some("x.org"), &["acme-tls/1"]));
    check(&of_rustls("192.0.2.1", &["h2"], both), &seen(None, &["h2"]));
}

/// The first flight of `openssl s_client`; `None` if there is no `openssl`.
fn of_openssl(arguments: &[&str]) -> Option<Vec<u8>> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &address])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .inspect_err(|_| {
            eprintln!("SKIPPED: there is no `openssl` on this machine; this proves nothing here")
        })
        .ok()?;
    let (mut socket, _) = listener.accept().unwrap();
    let mut bytes = vec![0; RECORD_HEADER];
    socket.read_exact(&mut bytes).unwrap();
    let mut payload = vec![0; usize::from(u16::from_be_bytes([bytes[3], bytes[4]]))];
    socket.read_exact(&mut payload).unwrap();
    bytes.append(&mut payload);
    drop(socket);
    child.wait().unwrap();
    Some(bytes)
}

#[test]
fn hellos_of_openssl_are_read() {
    for (arguments, expected) in [
        (&["-servername", "example.org"][..], seen(Some("example.org"), &[])),
        (&["-servername", "EXAMPLE.Org"], seen(Some("example.org"), &[])),
        (&["-noservername"], seen(None, &[])),
        (
            &["-servername", "a.org", "-tls1_2", "-alpn", "h2,http/1.1"],
            seen(Some("a.org"), &["h2", "http/1.1"]),
        ),
        (&["-servername", "a.org", "-tls1_3", "-groups", "X25519:P-256:P-521"], seen(Some("a.org"), &[])),
    ] {
        if let Some(hello) = of_openssl(arguments) {
            check(&hello, &expected);
        }
    }
}

/// A hand-made hello with these extensions, in this order.
fn with_extensions(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let extensions: Vec<u8> = extensions
        .iter()
        .flat_map(|(kind, value)| [&kind.to_be_bytes()[..], &vector(2, value)].concat())
        .collect();
    message(&vector(2, &extensions))
}

/// A hello with these bytes after its compression methods.
fn message(rest: &[u8]) -> Vec<u8> {
    let body = [
        &[3, 3][..],
        &[7; 32],
        &vector(1, &[9; 32]),
        // GREASE, and two suites that exist.
        &vector(2, &[0x4a, 0x4a, 0x13, 0x01, 0x13, 0x02]),
        &vector(1, &[0]),
        rest,
    ]
    .concat();
    [&[1][..], &vector(3, &body)].concat()
}

fn vector(width: usize, bytes: &[u8]) -> Vec<u8> {
    [&bytes.len().to_be_bytes()[size_of::<usize>() - width..], bytes].concat()
}

fn sni(name: &str) -> (u16, Vec<u8>) {
    (SERVER_NAME, vector(2, &[&[0][..], &vector(2, name.as_bytes())].concat()))
}

fn alpn(names: &[&str]) -> (u16, Vec<u8>) {
    let names: Vec<u8> = names.iter().flat_map(|name| vector(1, name.as_bytes())).collect();
    (ALPN, vector(2, &names))
}

#[test]
fn shapes_that_browsers_send_are_read() {
    // Like Chromium of some years ago: GREASE first and last, padding, extensions in any order, ECH.
    let share = [&[0x0a, 0x0a, 0, 1, 0][..], &[0x11, 0xec], &vector(2, &[5; 1_216])].concat();
    let chromium = [
        (0x8a8a, vec![]),
        (51, vector(2, &share)),
        (ECH, vec![3; 250]),
        alpn(&["h2", "http/1.1"]),
        (43, vec![4, 0x7a, 0x7a, 3, 4]),
        (17_613, vec![0, 3, 2, 104, 50]),
        sni("public.example"),
        (0xdada, vec![0]),
        (21, vec![0; 200]),
    ];
    let expected = seen(Some("public.example"), &["h2", "http/1.1"]);
    check(&framed(&with_extensions(&chromium), RECORD_MAX), &expected);
    // Like Firefox: the name first, a delegated credential, record size limit.
    let firefox = [
        sni("www.example.org"),
        (23, vec![]),
        (0xff01, vec![0]),
        (10, vector(2, &[0x11, 0xec, 0, 29, 0, 23])),
        alpn(&["h2", "http/1.1"]),
        (34, vector(2, &[4, 3, 5, 3])),
        (28, vec![0x40, 1]),
    ];
    check(
        &framed(&with_extensions(&firefox), RECORD_MAX),
        &seen(Some("www.example.org"), &["h2", "http/1.1"]),
    );
}

#[test]
fn names_are_read_however_they_are_written() {
    for (written, name) in [
        ("example.org", Some("example.org")),
        ("Example.ORG", Some("example.org")),
        ("example.org.", Some("example.org")),
        ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
        ("a_b.local", Some("a_b.local")),
        ("192.0.2.1", None),
        ("2001:db8::1", None),
        ("::ffff:1.2.3.4", None),
    ] {
        check(&framed(&with_extensions(&[sni(written)]), RECORD_MAX), &seen(name, &[]));
    }
    check(&framed(&with_extensions(&[]), RECORD_MAX), &seen(None, &[]));
    check(&framed(&message(&[]), RECORD_MAX), &seen(None, &[]));
}

#[test]
fn a_hello_that_two_readers_could_read_in_two_ways_is_refused() {
    let two_names =
        (SERVER_NAME, vector(2, &[&[0][..], &vector(2, b"a.org"), &[0], &vector(2, b"b.org")].concat()));
    for (what, extensions) in [
        ("two names in one list", vec![two_names]),
        ("two lists of names", vec![sni("a.org"), sni("b.org")]),
        ("two lists of protocols", vec![alpn(&["h2"]), alpn(&["http/1.1"])]),
        ("no name", vec![sni("")]),
        ("a name with a zero", vec![sni("a.org\0.b.org")]),
        ("a name with a space", vec![sni("a b")]),
        ("a name outside ASCII", vec![sni("b\u{fc}cher.example")]),
        (
            "a name of another kind",
            vec![(SERVER_NAME, vector(2, &[&[1][..], &vector(2, b"a.org")].concat()))],
        ),
        ("an empty list", vec![(SERVER_NAME, vec![0, 0])]),
        ("no list", vec![(SERVER_NAME, vec![])]),
        ("bytes after the list", vec![(SERVER_NAME, [sni("a.org").1, vec![0]].concat())]),
        ("an empty protocol", vec![alpn(&["h2", ""])]),
        ("no protocols", vec![alpn(&[])]),
        ("half a protocol", vec![(ALPN, vector(2, &[3, b'h', b'2']))]),
    ] {
        let bytes = framed(&with_extensions(&extensions), RECORD_MAX);
        assert_eq!(parse(&bytes), Err(HelloError::Malformed), "{what}");
    }
    let bytes = framed(&message(&[vector(2, &[]), vec![0]].concat()), RECORD_MAX);
    assert_eq!(parse(&bytes), Err(HelloError::Malformed), "bytes after the extensions");
    let bytes = framed(&message(&vector(2, &[0, 0, 0])), RECORD_MAX);
    assert_eq!(parse(&bytes), Err(HelloError::Malformed), "half an extension");
}

#[test]
fn bytes_that_are_no_hello_are_refused_as_soon_as_possible() {
    for (bytes, error) in [
        (&b"G"[..], HelloError::NotTls),
        (b"\x16G", HelloError::NotTls),
        (b"\x80", HelloError::NotTls),
        (b"\x16\x03\x01\x00\x00", HelloError::NotTls),
        (b"\x16\x03\x01\x40\x01", HelloError::NotTls),
        (b"\x15", HelloError::NotTls),
        (b"\x16\x03\x01\x00\x04\x02\x00\x00\x10", HelloError::Malformed),
        (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", HelloError::Malformed),
        (b"\x16\x03\x01\x00\x01\x01\x17", HelloError::Malformed),
        (b"\x16\x03\x01\x00\x01\x01\x16\x03\x01\x00\x00", HelloError::Malformed),
        (b"\x16\x03\x01\x00\x04\x01\x00\x40\x00", HelloError::TooLong),
    ] {
        assert_eq!(parse(bytes), Err(error), "{}", bytes.escape_ascii());
        assert_eq!(parse(&bytes[..bytes.len() - 1]), Ok(None), "{} less one", bytes.escape_ascii());
    }
}

#[test]
fn no_more_than_the_limit_is_read() {
    let padded =
        |padding: usize| framed(&with_extensions(&[(21, vec![0; padding]), sni("a.org")]), RECORD_MAX);
    let spare = HELLO_BYTES_MAX - padded(0).len();
    assert_eq!(parse(&padded(spare)).unwrap(), Some(seen(Some("a.org"), &[])));
    assert_eq!(padded(spare).len(), HELLO_BYTES_MAX);
    assert_eq!(parse(&padded(spare + 1)[..HELLO_BYTES_MAX]), Err(HelloError::TooLong));
    // Each byte is in its own record, which takes six bytes.
    let slow = framed(&with_extensions(&[(21, vec![0; 4_000])]), 1);
    assert_eq!(parse(&slow[..HELLO_BYTES_MAX - 1]), Ok(None));
    assert_eq!(parse(&slow[..HELLO_BYTES_MAX]), Err(HelloError::TooLong));
}

#[test]
fn no_changed_byte_causes_a_panic() {
    let hello = of_rustls("example.org", &["h2"], &[&version::TLS12]);
    for at in 0..hello.len() {
        for byte in [0, 1, 2, 0x7f, 0x80, 0xff] {
            let mut bad = hello.clone();
            bad[at] = byte;
            let _ = parse(&bad);
            let _ = parse(&framed(&unframed(&hello), 3)[..at]);
        }
    }
}
