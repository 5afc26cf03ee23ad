//! Tests of lookups, against a server that is resolver and name server at once.

use std::net::UdpSocket;
use std::thread;

use futures_lite::future::block_on;

use super::super::message::{CLASS_IN, header, put, write_name};
use super::*;

const AUTHORITATIVE: u16 = 0x8400;
const REFERRAL: u16 = 0x8000;

/// Records: owner, kind, content. A name as content is written with a dot at the end.
type Zone = &'static [(&'static str, Kind, &'static str)];

/// Everything that the server knows. `deep.example` is a zone of its own.
const RECORDS: Zone = &[
    ("example", Kind::Soa, ""),
    ("example", Kind::Ns, "ns.example."),
    ("deep.example", Kind::Soa, ""),
    ("deep.example", Kind::Ns, "ns.example."),
    ("elsewhere", Kind::Soa, ""),
    ("elsewhere", Kind::Ns, "ns.example."),
    ("ns.example", Kind::A, "127.0.0.1"),
    ("a.example", Kind::Txt, "text"),
    ("_acme-challenge.b.example", Kind::Cname, "b.elsewhere."),
    ("_acme-challenge.loop.example", Kind::Cname, "_acme-challenge.loop.example."),
    ("lame", Kind::Soa, ""),
    ("lame", Kind::Ns, "nowhere.lame."),
];

fn content(kind: Kind, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    match kind {
        Kind::Txt => {
            bytes.push(text.len() as u8);
            bytes.extend(text.bytes());
        }
        Kind::A => bytes.extend(text.parse::<std::net::Ipv4Addr>().unwrap().octets()),
        Kind::Soa => bytes.extend([0; 22]),
        _ => write_name(&mut bytes, text).unwrap(),
    }
    bytes
}

fn reply(id: u16, name: &str, kind: Kind, recursive: bool) -> Vec<u8> {
    let of = |name: &str, kind: Kind| {
        RECORDS.iter().filter(move |record| record.0 == name && record.1 == kind).collect::<Vec<_>>()
    };
    let is_below = !recursive && name.ends_with("deep.example");
    let answers = if is_below { Vec::new() } else { of(name, kind) };
    let mut authorities = Vec::new();
    if is_below {
        authorities = of("deep.example", Kind::Ns);
    } else if answers.is_empty() {
        authorities =
            RECORDS.iter().filter(|record| record.1 == Kind::Soa && is_within(name, record.0)).collect();
    }
    let flags = if is_below { REFERRAL } else { AUTHORITATIVE };
    let mut bytes = header(id, flags, [1, answers.len() as u16, authorities.len() as u16, 0]);
    write_name(&mut bytes, name).unwrap();
    put(&mut bytes, &[kind.number(), CLASS_IN]);
    for (owner, kind, text) in answers.into_iter().chain(authorities) {
        write_name(&mut bytes, owner).unwrap();
        let content = content(*kind, text);
        put(&mut bytes, &[kind.number(), CLASS_IN, 0, 60, content.len() as u16]);
        bytes.extend(content);
    }
    bytes
}

/// A server for as long as the tests run. Before each answer, it sends a forged one.
fn server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok((count, from)) = socket.recv_from(&mut bytes) {
            let id = u16::from_be_bytes([bytes[0], bytes[1]]);
            let recursive = bytes[2] & 1 != 0;
            bytes[2] |= 0x80;
            // The additional record is left out of what is read.
            let (name, kind) = Message::read(&bytes[..count]).unwrap().question.unwrap();
            let _ = socket.send_to(&reply(id ^ 1, "forged.example", kind, recursive), from);
            let _ = socket.send_to(&reply(id, &name, kind, recursive), from);
        }
    });
    address
}

fn lookup() -> Lookup {
    let server = server();
    Lookup { resolvers: vec![server], fixed: Vec::new(), port: server.port() }
}

#[test]
fn a_place_is_found_through_aliases_and_zones_below() {
    let lookup = lookup();
    let servers = lookup.resolvers.clone();
    for (name, expected) in [
        ("_acme-challenge.A.example", "_acme-challenge.a.example"),
        ("_acme-challenge.b.example", "b.elsewhere"),
        ("_acme-challenge.deep.example", "_acme-challenge.deep.example"),
    ] {
        let place = block_on(lookup.place(name)).unwrap();
        assert_eq!(place, Place { name: expected.into(), servers: servers.clone() }, "{name}");
    }
    assert_eq!(block_on(zone_at(servers[0], "x.y.example")).unwrap(), "example");
}

#[test]
fn a_place_that_leads_nowhere_is_an_error() {
    let lookup = lookup();
    for (name, expected) in [
        ("_acme-challenge.loop.example", "too many aliases"),
        ("_acme-challenge.a.unknown", "not known"),
        ("_acme-challenge.a.lame", "no name server of lame"),
        ("_acme-challenge.a..example", "not one of DNS"),
    ] {
        let error = block_on(lookup.place(name)).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = Lookup::new(&[silent.local_addr().unwrap()], &[]);
    assert!(
        block_on(silent.place("_acme-challenge.a.example")).unwrap_err().to_string().contains("not answer")
    );
}

#[test]
fn an_answer_comes_from_the_first_server_that_has_one() {
    let lookup = lookup();
    let answer = block_on(lookup.ask(lookup.resolvers[0], "A.example", Kind::Txt)).unwrap();
    assert!(answer.has_text("a.example", b"text") && !answer.has_text("a.example", b"tex"));
    let dead = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let two = Lookup { resolvers: vec![dead, lookup.resolvers[0]], ..lookup };
    assert_eq!(block_on(two.resolve("ns.example", Kind::A)).unwrap().addresses().count(), 1);
}
