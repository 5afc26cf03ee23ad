//! The address of the client behind proxies.

use std::net::IpAddr;

use crate::http::{FieldTable, HeadLimits, client_behind};
use crate::http1::{HeadScan, parse_request};

/// The client according to these lines, with 10.0.0.0/8 and fd00::/8 trusted.
fn client(lines: &str) -> (String, Option<String>) {
    let bytes = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
    let limits = HeadLimits { bytes: 1 << 20, fields: 128, target: 1 << 10 };
    let mut table = FieldTable::new();
    let head = parse_request(bytes.as_bytes(), &mut HeadScan::default(), &limits, &mut table);
    let head = head.unwrap().unwrap();
    let trusted = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    };
    let origin = client_behind(head.fields, "10.0.0.1".parse().unwrap(), trusted);
    (origin.address.to_string(), origin.proto.map(|proto| proto.escape_ascii().to_string()))
}

#[test]
fn the_client_is_the_last_address_that_is_not_trusted() {
    for (lines, address) in [
        ("", "10.0.0.1"),
        ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"),
        ("X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n", "192.0.2.1"),
        ("X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.3\r\n", "192.0.2.1"),
        (
            "X-Forwarded-For: 6.6.6.6\r\nX: y\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.0.0.3\r\n",
            "192.0.2.1",
        ),
        ("X-Forwarded-For: 10.0.0.4, 10.0.0.3\r\n", "10.0.0.4"),
        ("X-Forwarded-For: ,, 192.0.2.1 ,\t,\r\nX-Forwarded-For:\r\n", "192.0.2.1"),
        ("X-Forwarded-For: 192.0.2.1:4711\r\n", "192.0.2.1"),
        ("X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"),
        ("X-Forwarded-For: 2001:db8::1, [fd00::1]:80\r\n", "2001:db8::1"),
        ("X-Forwarded-For: [2001:db8::1]\r\n", "2001:db8::1"),
        ("X-Forwarded-For: ::ffff:192.0.2.1\r\n", "192.0.2.1"),
        ("X-Forwarded-For: 6.6.6.6, ::ffff:10.0.0.9\r\n", "6.6.6.6"),
        ("X-Forwarded-For: 6.6.6.6, unknown\r\n", "10.0.0.1"),
        ("X-Forwarded-For: 6.6.6.6, unknown, 10.0.0.3\r\n", "10.0.0.3"),
        ("X-Forwarded-For: 6.6.6.6, 999.1.1.1\r\n", "10.0.0.1"),
        ("X-Forwarded-For: 6.6.6.6, 192.0.2.1:x\r\n", "10.0.0.1"),
        ("X-Forwarded-For: 6.6.6.6, [192.0.2.1]\r\n", "10.0.0.1"),
        ("X-Forwarded-For: 6.6.6.6, [::1]80\r\n", "10.0.0.1"),
        ("X-Forwarded-For: 6.6.6.6, [::1\r\n", "10.0.0.1"),
        ("X-Forwarded-For: 6.6.6.6, fe80::1%eth0\r\n", "10.0.0.1"),
        ("X-Forwarded-For: 6.6.6.6 192.0.2.1\r\n", "10.0.0.1"),
        ("X-Forwarded-For: 192.0.2.1\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n", "192.0.2.1"),
        ("X-Forwarded-For: unknown\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n", "10.0.0.1"),
        ("X-Forwarded-For: ,\r\nX-Real-IP: 192.0.2.1\r\n", "192.0.2.1"),
        ("X-Real-IP: 192.0.2.1\r\n", "192.0.2.1"),
        ("X-Real-IP: junk\r\n", "10.0.0.1"),
        ("X-Real-IP: 6.6.6.6\r\nForwarded: for=_x\r\n", "10.0.0.1"),
    ] {
        assert_eq!(client(lines).0, address, "{lines}");
    }
    let many = format!("X-Forwarded-For: {}192.0.2.1, 10.0.0.2\r\n", "6.6.6.6, ".repeat(10_000));
    assert_eq!(client(&many).0, "192.0.2.1");
    let trusted = format!("X-Forwarded-For: 192.0.2.1{}\r\n", ", 10.0.0.2".repeat(10_000));
    assert_eq!(client(&trusted).0, "192.0.2.1");
}

#[test]
fn elements_of_forwarded_are_read_with_their_quotes() {
    for (value, address, proto) in [
        ("for=192.0.2.1;proto=https", "192.0.2.1", Some("https")),
        ("FOR=\"192.0.2.1:80\" ; Proto=\"http\"", "192.0.2.1", Some("http")),
        ("proto=https;by=10.0.0.1;for=\"[2001:db8::1]:4711\"", "2001:db8::1", Some("https")),
        ("for=6.6.6.6, for=192.0.2.1;proto=https, for=10.0.0.2;proto=http", "192.0.2.1", Some("https")),
        ("for=6.6.6.6;host=\"a,b;for=7.7.7.7\", for=10.0.0.2", "6.6.6.6", None),
        ("for=\"6.6.6.6, for=192.0.2.1", "192.0.2.1", None),
        ("for=6.6.6.6\", for=192.0.2.1;proto=https", "192.0.2.1", Some("https")),
        ("for=6.6.6.6, for=unknown", "10.0.0.1", None),
        ("for=6.6.6.6, for=_hidden", "10.0.0.1", None),
        ("for=6.6.6.6, proto=https", "10.0.0.1", None),
        ("for=6.6.6.6, for=", "10.0.0.1", None),
        ("for=6.6.6.6, fortune=1", "10.0.0.1", None),
        ("for", "10.0.0.1", None),
    ] {
        let (found, scheme) = client(&format!("Forwarded: {value}\r\n"));
        assert_eq!((found.as_str(), scheme.as_deref()), (address, proto), "{value}");
    }
}
