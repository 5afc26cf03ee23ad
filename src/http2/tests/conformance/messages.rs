//! RFC 9113, section 8: messages. Single fields are in `tests/downgrade.rs`.

use super::*;

const OK: &[(&str, &str)] = &[(":status", "200")];
/// The form of a response without fields.
const OK_HEAD: &str = "head 1 HTTP/1.1 200 OK||";

fn length(value: &'static str) -> Vec<(&'static str, &'static str)> {
    [POST, &[("content-length", value)]].concat()
}

const REQUESTS_RULES: &[Row] = &[
    ("8.1: a request in one frame", Server, || vec![get(1)], Last(GOT)),
    (
        "8.1: body and trailers",
        Server,
        || vec![post(1), data(1, 0, 2), headers(1, 1, &[("x", "y")])],
        Last("trailers 1 x: y|"),
    ),
    (
        "8.1: trailers without body",
        Server,
        || vec![post(1), headers(1, 1, &[("x", "y")])],
        Last("trailers 1 x: y|"),
    ),
    (
        "8.1: trailers that do not end the stream",
        Server,
        || vec![post(1), headers(1, 0, &[("x", "y")])],
        Stream(1, ProtocolError),
    ),
    (
        "8.1: DATA behind trailers",
        Server,
        || vec![post(1), headers(1, 1, &[("x", "y")]), data(1, 0, 1)],
        Stream(1, StreamClosed),
    ),
    (
        "8.1: a second request on a stream",
        Server,
        || vec![post(1), headers(1, 0, GET)],
        Stream(1, ProtocolError),
    ),
    (
        "8.1: pseudo fields in trailers",
        Server,
        || vec![post(1), headers(1, 1, GET)],
        Stream(1, ProtocolError),
    ),
    ("8.1: :status in trailers", Server, || vec![post(1), headers(1, 1, OK)], Stream(1, ProtocolError)),
    (
        "8.1.1: the length of DATA",
        Server,
        || vec![headers(1, 0, &length("3")), data(1, 0, 1), data(1, 1, 2)],
        Last("data 1 end xx"),
    ),
    (
        "8.1.1: too little DATA",
        Server,
        || vec![headers(1, 0, &length("3")), data(1, 1, 2)],
        Stream(1, ProtocolError),
    ),
    (
        "8.1.1: too much DATA",
        Server,
        || vec![headers(1, 0, &length("3")), data(1, 0, 4)],
        Stream(1, ProtocolError),
    ),
    (
        "8.1.1: too much DATA, later",
        Server,
        || vec![headers(1, 0, &length("3")), data(1, 0, 3), data(1, 0, 1)],
        Stream(1, ProtocolError),
    ),
    (
        "8.1.1: an empty end too early",
        Server,
        || vec![headers(1, 0, &length("3")), end()],
        Stream(1, ProtocolError),
    ),
    (
        "8.1.1: an empty end in time",
        Server,
        || vec![headers(1, 0, &length("3")), data(1, 0, 3), end()],
        Last("data 1 end "),
    ),
    ("8.1.1: END_STREAM on HEADERS", Server, || vec![headers(1, 1, &length("3"))], Stream(1, ProtocolError)),
    (
        "8.1.1: END_STREAM on HEADERS, length 0",
        Server,
        || vec![headers(1, 1, &length("0"))],
        Last("head 1 end POST / HTTP/1.1|host: a.test|content-length: 0||"),
    ),
    (
        "8.1.1: trailers before the length",
        Server,
        || vec![headers(1, 0, &length("3")), data(1, 0, 2), headers(1, 1, &[])],
        Stream(1, ProtocolError),
    ),
    (
        "8.1.1: trailers at the length",
        Server,
        || vec![headers(1, 0, &length("2")), data(1, 0, 2), headers(1, 1, &[])],
        Last("trailers 1 "),
    ),
    (
        "8.1.1: padding is no data",
        Server,
        || vec![headers(1, 0, &length("1")), frame(DATA, PADDED | 1, 1, b"\x03x\0\0\0")],
        Last("data 1 end x"),
    ),
    (
        "8.2.3: crumbs are joined",
        Server,
        || vec![headers(1, 1, &[GET, &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]].concat())],
        Last("head 1 end GET / HTTP/1.1|host: a.test|x: y|cookie: a=1; b=2||"),
    ),
    (
        "8.5: CONNECT",
        Server,
        || vec![headers(1, 0, &[(":method", "CONNECT"), (":authority", "a.test:443")])],
        Last("refused 1 request_method"),
    ),
];

/// The end of a body, without data.
fn end() -> Vec<u8> {
    data(1, 1, 0)
}

#[test]
fn http2_conformance_of_requests() {
    check(REQUESTS_RULES);
}

const RESPONSES_RULES: &[Row] = &[
    ("8.1: a response", Client, || vec![status("200")], Last(OK_HEAD)),
    ("8.1: interim responses", Client, || vec![early_hints(), status("100"), status("200")], Last(OK_HEAD)),
    (
        "8.1: an interim response alone",
        Client,
        || vec![early_hints()],
        Last("head 1 HTTP/1.1 103 Early Hints|link: </a>||"),
    ),
    ("8.1: an interim response ends the stream", Client, || vec![last("103")], Stream(1, ProtocolError)),
    ("8.1: DATA first", Client, || vec![data(1, 0, 1)], Stream(1, ProtocolError)),
    (
        "8.1: DATA behind an interim response",
        Client,
        || vec![early_hints(), data(1, 0, 1)],
        Stream(1, ProtocolError),
    ),
    (
        "8.1: trailers",
        Client,
        || vec![status("200"), data(1, 0, 1), headers(1, 1, &[("grpc-status", "0")])],
        Last("trailers 1 grpc-status: 0|"),
    ),
    ("8.1: a second final response", Client, || vec![status("200"), last("200")], Stream(1, ProtocolError)),
    (
        "8.1: trailers that do not end the stream",
        Client,
        || vec![status("200"), headers(1, 0, &[("x", "y")])],
        Stream(1, ProtocolError),
    ),
    (
        "8.1.1: the length of DATA",
        Client,
        || vec![with_length("200", "2"), data(1, 1, 2)],
        Last("data 1 end xx"),
    ),
    (
        "8.1.1: too little DATA",
        Client,
        || vec![with_length("200", "2"), data(1, 1, 1)],
        Stream(1, ProtocolError),
    ),
    (
        "8.1.1: too much DATA",
        Client,
        || vec![with_length("200", "2"), data(1, 0, 3)],
        Stream(1, ProtocolError),
    ),
    ("8.1.1: END_STREAM on HEADERS", Client, || vec![ended("200", "2")], Stream(1, ProtocolError)),
    (
        "8.1.1: trailers too early",
        Client,
        || vec![with_length("200", "2"), headers(1, 1, &[("x", "y")])],
        Stream(1, ProtocolError),
    ),
    (
        "8.1.1: HEAD may have a length",
        ClientHead,
        || vec![ended("200", "2")],
        Last("head 1 end HTTP/1.1 200 OK|content-length: 2||"),
    ),
    (
        "8.1.1: 304 may have a length",
        Client,
        || vec![ended("304", "2")],
        Last("head 1 end HTTP/1.1 304 Not Modified|content-length: 2||"),
    ),
    (
        "8.1.1: 204 may have a length",
        Client,
        || vec![ended("204", "0")],
        Last("head 1 end HTTP/1.1 204 No Content|content-length: 0||"),
    ),
    ("8.1.1: HEAD has no body", ClientHead, || vec![status("200"), data(1, 0, 1)], Stream(1, ProtocolError)),
    ("8.1.1: 304 has no body", Client, || vec![status("304"), data(1, 0, 1)], Stream(1, ProtocolError)),
    (
        "8.1.1: HEAD may end by empty DATA",
        ClientHead,
        || vec![with_length("200", "9"), data(1, 1, 0)],
        Last("data 1 end "),
    ),
    ("8.3.2: no :status", Client, || vec![headers(1, 1, &[("x", "y")])], Stream(1, ProtocolError)),
    ("8.3.2: no field at all", Client, || vec![headers(1, 1, &[])], Stream(1, ProtocolError)),
    (
        "8.3.2: :status twice",
        Client,
        || vec![headers(1, 1, &[(":status", "200"), (":status", "200")])],
        Stream(1, ProtocolError),
    ),
    (
        "8.3.2: a pseudo field of requests",
        Client,
        || vec![headers(1, 1, &[(":status", "200"), (":path", "/")])],
        Stream(1, ProtocolError),
    ),
    ("8.3.2: no number", Client, || vec![last("2xx")], Stream(1, ProtocolError)),
    ("8.3.2: four digits", Client, || vec![last("2000")], Stream(1, ProtocolError)),
    ("8.3.2: two digits", Client, || vec![last("20")], Stream(1, ProtocolError)),
    ("8.3.2: below 100", Client, || vec![last("099")], Stream(1, ProtocolError)),
    (
        "8.3: :status behind a field",
        Client,
        || vec![headers(1, 1, &[("x", "y"), (":status", "200")])],
        Stream(1, ProtocolError),
    ),
    ("8.6: 101", Client, || vec![status("101")], Stream(1, ProtocolError)),
    (
        "8.2.2: connection in a response",
        Client,
        || vec![headers(1, 1, &[OK, &[("connection", "close")]].concat())],
        Stream(1, ProtocolError),
    ),
    (
        "8.2.2: te in a response",
        Client,
        || vec![headers(1, 1, &[OK, &[("te", "trailers")]].concat())],
        Stream(1, ProtocolError),
    ),
    (
        "8.2.1: a line end in a response",
        Client,
        || vec![headers(1, 1, &[OK, &[("x", "a\r\nset-cookie: b")]].concat())],
        Stream(1, ProtocolError),
    ),
    (
        "10.5: endless interim responses",
        Client,
        || (0..17).map(|_| early_hints()).collect(),
        Stream(1, EnhanceYourCalm),
    ),
    (
        "10.5: too many fields",
        Client,
        || vec![headers(1, 1, &[OK, &[("x", "y"); 129]].concat())],
        Last("refused 1 end response_too_large"),
    ),
];

fn status(code: &str) -> Vec<u8> {
    headers(1, 0, &[(":status", code)])
}

/// A response without a body.
fn last(code: &str) -> Vec<u8> {
    headers(1, 1, &[(":status", code)])
}

fn with_length(code: &str, length: &str) -> Vec<u8> {
    headers(1, 0, &[(":status", code), ("content-length", length)])
}

/// A response with a length and without a body.
fn ended(code: &str, length: &str) -> Vec<u8> {
    headers(1, 1, &[(":status", code), ("content-length", length)])
}

fn early_hints() -> Vec<u8> {
    headers(1, 0, &[(":status", "103"), ("link", "</a>")])
}

#[test]
fn http2_conformance_of_responses() {
    check(RESPONSES_RULES);
}
