//! The way from fields to the HTTP/1.1 form: what is refused, by which reader, and what passes.
//!
//! A row is judged by what a target would receive. The form goes through the parser of HTTP/1.1 heads, and its
//! fields must be those that were sent.

use super::super::head::{HeadDecoder, HeadKind};
use super::super::hpack::Field;
use super::super::*;
use super::peer::*;
use crate::http::{FieldTable, Name};
use crate::http1::{HeadScan, parse_request, parse_response};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// The outcome of a head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The engine resets the stream.
    Malformed,
    /// The HTTP/1.1 parser refuses the form, with this reason.
    Refused(&'static str),
    /// It reaches the rules: request line and field lines.
    Passed(String),
}

fn pairs(fields: &[(&str, &str)]) -> Pairs {
    fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

/// Decodes fields to the HTTP/1.1 form.
pub(super) fn form(kind: HeadKind, fields: &[(Vec<u8>, Vec<u8>)]) -> Result<Vec<u8>, &'static str> {
    let mut workspace = Workspace::default();
    let mut decoder = HeadDecoder::new(kind, &LIMITS.head, &mut workspace.space);
    for (name, value) in fields {
        let known = if name.starts_with(b":") { Name::Other } else { Name::classify(name) };
        decoder.field(&Field { name, value, known, never_indexed: false }).unwrap();
    }
    decoder.finish().map(|_| workspace.head().to_vec())
}

/// The fate of a request.
pub(super) fn fate(fields: &[(Vec<u8>, Vec<u8>)], extended_connect: bool) -> Fate {
    let Ok(form) = form(HeadKind::Request { extended_connect }, fields) else { return Fate::Malformed };
    let (mut scan, mut table) = (HeadScan::default(), FieldTable::default());
    match parse_request(&form, &mut scan, &LIMITS.head, &mut table) {
        Err(refusal) => Fate::Refused(refusal.reason.code()),
        Ok(None) => panic!("the form is no whole head: {}", form.escape_ascii()),
        Ok(Some(head)) => {
            assert_eq!(head.len, form.len(), "bytes behind the head: {}", form.escape_ascii());
            Fate::Passed(String::from_utf8_lossy(&form).replace("\r\n", "|"))
        }
    }
}

/// A plain GET with more fields.
fn with(more: &[(&str, &str)]) -> Pairs {
    pairs(&[GET, more].concat())
}

/// A plain GET with another value of a pseudo field.
fn changed(name: &str, value: &str) -> Pairs {
    let mut fields = pairs(GET);
    let field = fields.iter_mut().find(|field| field.0 == name.as_bytes()).unwrap();
    field.1 = value.as_bytes().to_vec();
    fields
}

/// A plain GET without a pseudo field.
fn without(name: &str) -> Pairs {
    pairs(GET).into_iter().filter(|field| field.0 != name.as_bytes()).collect()
}

fn refuse(rows: Vec<(&str, Pairs)>) -> usize {
    for (what, fields) in &rows {
        assert_eq!(fate(fields, false), Fate::Malformed, "{what}");
    }
    rows.len()
}

#[test]
fn names_that_no_field_may_have_are_malformed() {
    let names = [
        "",
        "X",
        "Host",
        "Transfer-Encoding",
        "CONTENT-LENGTH",
        "x-Y",
        " x",
        "x ",
        "x y",
        "\tx",
        "x\t",
        "x:",
        "x:y",
        ":",
        ":x",
        "host:",
        "host ",
        "transfer-encoding ",
        "transfer-encoding:",
        "transfer-encoding\t",
        "content-length:",
        "x\r",
        "x\n",
        "x\r\n",
        "x\0",
        "x\x7f",
        "x\x01",
        "\r\nx",
        "x: y\r\nhost",
        "x\r\n\r\nget / http/1.1\r\n",
        "x/y",
        "x\"y",
        "(x)",
        "x,y",
        "x;y",
        "x=y",
        "x@y",
        "x[y",
        "x{y",
        "x\\y",
        "x<y",
        "x?y",
        "caf\u{e9}",
        "\u{feff}x",
    ];
    let rows: Vec<_> = names.iter().map(|name| (*name, with(&[(name, "chunked")]))).collect();
    assert_eq!(refuse(rows), 44);
    // A byte that is not ASCII, by itself.
    for byte in (0..=b' ').chain(0x7f..=0xff) {
        let mut fields = pairs(GET);
        fields.push((vec![b'x', byte], b"y".to_vec()));
        assert_eq!(fate(&fields, false), Fate::Malformed, "{byte:#x}");
    }
}

#[test]
fn values_that_no_field_may_have_are_malformed() {
    let values = [
        "a\r\nb",
        "a\nb",
        "a\rb",
        "a\0b",
        "\r\n",
        "\n",
        "\r",
        "\0",
        "a\r\nhost: b",
        "a\r\n\r\nGET / HTTP/1.1\r\n",
        "a\x01",
        "a\x7f",
        "a\x1b[31m",
        " a",
        "a ",
        "\ta",
        "a\t",
        " ",
        "\t",
        "a\r\n b",
        "a\r\n\tb",
    ];
    for name in ["x", "cookie", "user-agent", "content-type", "accept", "authorization"] {
        let rows = values.iter().map(|value| (*value, with(&[(name, value)]))).collect();
        assert_eq!(refuse(rows), 21, "{name}");
    }
}

#[test]
fn fields_of_a_connection_are_malformed() {
    assert_eq!(
        refuse(vec![
            ("chunked", with(&[("transfer-encoding", "chunked")])),
            ("identity", with(&[("transfer-encoding", "identity")])),
            ("empty", with(&[("transfer-encoding", "")])),
            ("close", with(&[("connection", "close")])),
            ("keep-alive", with(&[("connection", "keep-alive")])),
            ("names a field", with(&[("connection", "x"), ("x", "y")])),
            ("timeout", with(&[("keep-alive", "timeout=5")])),
            ("proxy", with(&[("proxy-connection", "keep-alive")])),
            ("websocket", with(&[("upgrade", "websocket")])),
            ("h2c", with(&[("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__")])),
            ("settings alone", with(&[("http2-settings", "AAMAAABkAAQAAP__")])),
            ("te gzip", with(&[("te", "gzip")])),
            ("te list", with(&[("te", "trailers, gzip")])),
            ("te with weight", with(&[("te", "trailers;q=1")])),
            ("te capital", with(&[("te", "Trailers")])),
            ("te empty", with(&[("te", "")])),
            ("te twice", with(&[("te", "trailers"), ("te", "trailers")])),
        ]),
        17
    );
}

#[test]
fn pseudo_fields_are_complete_known_and_first() {
    let behind = |name: &str, value: &str| with(&[("x", "y"), (name, value)]);
    assert_eq!(
        refuse(vec![
            ("no method", without(":method")),
            ("no scheme", without(":scheme")),
            ("no path", without(":path")),
            ("nothing", pairs(&[])),
            ("fields alone", pairs(&[("host", "a.test")])),
            ("method twice", with(&[(":method", "GET")])),
            ("scheme twice", with(&[(":scheme", "http")])),
            ("path twice", with(&[(":path", "/admin")])),
            ("authority twice", with(&[(":authority", "a.test")])),
            ("two other authorities", with(&[(":authority", "b.test")])),
            ("status in a request", with(&[(":status", "200")])),
            ("unknown", with(&[(":foo", "x")])),
            ("a fake by its name", with(&[(":method x", "GET")])),
            ("capital", with(&[(":Path", "/b")])),
            ("protocol", with(&[(":protocol", "websocket")])),
            ("method behind", behind(":method", "GET")),
            ("path behind", behind(":path", "/admin")),
            ("authority behind", behind(":authority", "a.test")),
            (
                "authority behind host",
                [without(":authority"), pairs(&[("host", "a"), (":authority", "b")])].concat()
            ),
            ("protocol behind", behind(":protocol", "websocket")),
            ("all behind", [pairs(&[("x", "y")]), pairs(GET)].concat()),
        ]),
        21
    );
}

#[test]
fn methods_schemes_and_paths_are_checked_before_they_are_written() {
    let methods = [
        "",
        " ",
        "GET ",
        " GET",
        "GET /admin HTTP/1.1\r\nx:",
        "G\r\nT",
        "G\0T",
        "G\tT",
        "GET:",
        "G/T",
        "G(T",
        "GET\n",
        "AVERYLONGMETHODTHATHASMORETHAN32B",
    ];
    let schemes = [
        "",
        "ftp",
        "http ",
        " http",
        "https://a.test/",
        "http://b.test/admin?",
        "http\r\n",
        "h\0ttp",
        "javascript",
    ];
    let paths = [
        "",
        "x",
        "a.test",
        "http://a.test/",
        "//a\r\n",
        "/ ",
        "/ HTTP/1.1",
        "/a b",
        "/a\r\nx: y",
        "/a\nb",
        "/a\0b",
        "/a\tb",
        "/a#b",
        "#",
        "?x",
        "*",
        "**",
        "/\u{e9}",
        "/a\x7f",
        "/ HTTP/1.1\r\ntransfer-encoding: chunked\r\nx:",
        "\\a",
        "\t/",
    ];
    let rows = methods.map(|value| (value, changed(":method", value)));
    assert_eq!(refuse(rows.to_vec()), 13);
    let rows = schemes.map(|value| (value, changed(":scheme", value)));
    assert_eq!(refuse(rows.to_vec()), 9);
    let rows = paths.map(|value| (value, changed(":path", value)));
    assert_eq!(refuse(rows.to_vec()), 22);
}

#[test]
fn authority_and_host_name_one_host() {
    let authorities = [
        "",
        " ",
        "a b",
        "a.test ",
        " a.test",
        "a.test\r\nx: y",
        "a\0b",
        "u@a.test",
        "u:p@a.test",
        "a.test/",
        "a.test/admin",
        "a.test?x",
        "a.test#x",
        "a\\b",
        "a.test,b.test",
        "http://a.test",
        "\ta",
        "a\n",
        "\u{e9}.test",
        "\"a\"",
    ];
    let rows = authorities.map(|value| (value, changed(":authority", value)));
    assert_eq!(refuse(rows.to_vec()), 20);
    let hosts = authorities.map(|value| {
        let mut fields = without(":authority");
        fields.extend(pairs(&[("host", value)]));
        (value, fields)
    });
    assert_eq!(refuse(hosts.to_vec()), 20);
    assert_eq!(
        refuse(vec![
            ("another host", with(&[("host", "b.test")])),
            ("another port", with(&[("host", "a.test:80")])),
            ("another case", with(&[("host", "A.test")])),
            ("a dot", with(&[("host", "a.test.")])),
            ("empty", with(&[("host", "")])),
            ("twice", with(&[("host", "a.test"), ("host", "a.test")])),
            (
                "twice, without authority",
                [without(":authority"), pairs(&[("host", "a"), ("host", "a")])].concat()
            ),
        ]),
        7
    );
    let refused = |value: &str| fate(&changed(":authority", value), false);
    for value in ["a..b", ".", ":80", "a:b", "a:65536", "[::1", "[::1]x", "%61", "a;b", "*", "a:1:2"] {
        assert_eq!(refused(value), Fate::Refused("request_host"), "{value}");
    }
    assert_eq!(fate(&without(":authority"), false), Fate::Refused("request_host"));
}

#[test]
fn lengths_are_one_number() {
    let values = [
        "",
        "x",
        "-1",
        "+1",
        "1 2",
        "1,1",
        "1, 1",
        "0x1",
        "1.0",
        "1e3",
        "9223372036854775808",
        "18446744073709551617",
        "99999999999999999999999",
        "\u{661}",
        "1;",
        "1_0",
    ];
    let rows = values.map(|value| (value, with(&[("content-length", value)])));
    assert_eq!(refuse(rows.to_vec()), 16);
    assert_eq!(
        refuse(vec![
            ("twice", with(&[("content-length", "1"), ("content-length", "1")])),
            ("two", with(&[("content-length", "1"), ("content-length", "2")])),
            ("both lengths", with(&[("content-length", "1"), ("transfer-encoding", "chunked")])),
        ]),
        3
    );
    assert!(matches!(fate(&with(&[("content-length", "9223372036854775807")]), false), Fate::Passed(_)));
}

#[test]
fn connect_is_refused_or_a_tunnel() {
    let connect: &[(&str, &str)] = &[(":method", "CONNECT"), (":authority", "a.test:443")];
    assert_eq!(fate(&pairs(connect), false), Fate::Refused("request_method"));
    let websocket = |more: &[(&str, &str)]| {
        let start =
            [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", "/chat")];
        pairs(&[&start[..], &[(":authority", "a.test")], more].concat())
    };
    let rows = vec![
        ("scheme", pairs(&[connect, &[(":scheme", "https")]].concat())),
        ("path", pairs(&[connect, &[(":path", "/")]].concat())),
        ("no authority", pairs(&connect[..1])),
        ("length", pairs(&[connect, &[("content-length", "5")]].concat())),
        ("protocol that was not announced", websocket(&[])),
    ];
    assert_eq!(refuse(rows), 5);
    let told =
        "GET /chat HTTP/1.1|host: a.test|upgrade: websocket|connection: upgrade|sec-websocket-version: 13||";
    let tunnel = fate(&websocket(&[("sec-websocket-version", "13")]), true);
    assert_eq!(tunnel, Fate::Passed(told.to_owned()));
    for (what, fields) in [
        ("without CONNECT", with(&[(":protocol", "websocket")])),
        ("a length", websocket(&[("content-length", "5")])),
        (
            "a space",
            websocket(&[])
                .into_iter()
                .map(|(name, value)| {
                    let value = if name == b":protocol" { b"web socket".to_vec() } else { value };
                    (name, value)
                })
                .collect(),
        ),
        ("a second upgrade", websocket(&[("upgrade", "h2c")])),
        ("no path", websocket(&[]).into_iter().filter(|field| field.0 != b":path").collect()),
        ("no authority", websocket(&[]).into_iter().filter(|field| field.0 != b":authority").collect()),
    ] {
        assert_eq!(fate(&fields, true), Fate::Malformed, "{what}");
    }
}

#[test]
fn trailers_frame_and_route_nothing() {
    let trailers = |fields: &[(&str, &str)]| {
        form(HeadKind::Trailers, &pairs(fields)).map(|lines| String::from_utf8(lines).unwrap())
    };
    for fields in [
        [(":method", "GET")],
        [(":status", "200")],
        [("", "x")],
        [("X", "y")],
        [("x\r\n", "y")],
        [("x", "y\r\nz")],
        [("x", " y")],
        [("transfer-encoding", "chunked")],
        [("connection", "close")],
        [("te", "trailers")],
        [("upgrade", "h2c")],
    ] {
        assert!(trailers(&fields).is_err(), "{fields:?}");
    }
    for name in [
        "content-length",
        "host",
        "authorization",
        "cookie",
        "set-cookie",
        "content-type",
        "x-forwarded-for",
        "x-real-ip",
        "x-forwarded-user",
        "x_forwarded_for",
        "trailer",
        "cache-control",
        "expect",
        "location",
    ] {
        assert_eq!(trailers(&[(name, "1"), ("x", "y")]).unwrap(), "x: y\r\n", "{name}");
    }
    assert_eq!(
        trailers(&[("grpc-status", "0"), ("grpc-message", "")]).unwrap(),
        "grpc-status: 0\r\ngrpc-message: \r\n"
    );
}

#[test]
fn what_is_valid_passes_unchanged() {
    let get = |lines: &str| Fate::Passed(format!("GET / HTTP/1.1|host: a.test|{lines}|"));
    for (fields, lines) in [
        (with(&[]), ""),
        (with(&[("host", "a.test")]), ""),
        (with(&[("x", "")]), "x: |"),
        (with(&[("x", "a b\tc")]), "x: a b\tc|"),
        (with(&[("x", "\u{e9}")]), "x: \u{e9}|"),
        (with(&[("te", "trailers")]), "te: trailers|"),
        (with(&[("cookie", "a"), ("cookie", "b"), ("x", "y")]), "x: y|cookie: a; b|"),
        (with(&[("cookie", ""), ("cookie", "b")]), "cookie: ; b|"),
        (with(&[("cookie", "")]), "cookie: |"),
        (with(&[("upgrade-insecure-requests", "1")]), "upgrade-insecure-requests: 1|"),
        (with(&[("content-length", "0")]), "content-length: 0|"),
        (with(&[("priority", "u=1")]), "priority: u=1|"),
        (with(&[("x", "1"), ("x", "2")]), "x: 1|x: 2|"),
        (with(&[("!#$%&'*+-.^_`|~", "x")]), "!#$%&'*+-.^_`||~: x|"),
    ] {
        let lines = lines.replace("`||~", "`|~");
        assert_eq!(fate(&fields, false), get(&lines), "{lines}");
    }
    let line = |fields: Pairs| match fate(&fields, false) {
        Fate::Passed(text) => text.split('|').next().unwrap().to_owned(),
        fate => format!("{fate:?}"),
    };
    assert_eq!(line(changed(":path", "/a?b=c&d")), "GET /a?b=c&d HTTP/1.1");
    assert_eq!(line(changed(":path", "//b.test/c")), "GET //b.test/c HTTP/1.1");
    assert_eq!(line(changed(":scheme", "HTTPS")), "GET / HTTP/1.1");
    assert_eq!(line(changed(":method", "PROPFIND")), "PROPFIND / HTTP/1.1");
    let star =
        pairs(&[(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), (":authority", "a.test")]);
    assert_eq!(line(star), "OPTIONS * HTTP/1.1");
    assert_eq!(line(changed(":path", "/a/../b")), "Refused(\"request_target\")");
    assert_eq!(line(changed(":path", &format!("/{}", "a".repeat(9000)))), "Refused(\"target_too_long\")");
    let mut by_host = without(":authority");
    by_host.extend(pairs(&[("x", "y"), ("host", "a.test")]));
    assert_eq!(fate(&by_host, false), Fate::Passed("GET / HTTP/1.1|x: y|host: a.test||".to_owned()));
}

#[test]
fn a_response_becomes_one_that_the_parser_reads() {
    let fields =
        pairs(&[(":status", "404"), ("content-length", "5"), ("set-cookie", "a"), ("set-cookie", "b")]);
    let form = form(HeadKind::Response, &fields).unwrap();
    let (mut scan, mut table) = (HeadScan::default(), FieldTable::default());
    let head = parse_response(&form, &mut scan, &LIMITS.head, &mut table).unwrap().unwrap();
    assert_eq!((head.status, head.phrase, head.content_length), (404, &b"Not Found"[..], Some(5)));
    assert_eq!((head.fields.len(), head.len), (3, form.len()));
    assert!(head.line_of_ours > 0);
}
