//! RFC 9113, sections 3, 4, 6 and 7: the connection, its frames, its settings.

use super::*;
use crate::http2::{ConnectionError, PREFACE};

/// A GET in pieces of a header block: HEADERS without END_HEADERS, then CONTINUATION.
fn split(pieces: usize, flags: u8) -> Vec<Vec<u8>> {
    let block = block(GET);
    let size = block.len().div_ceil(pieces);
    let last = block.chunks(size).len() - 1;
    let piece = |(at, bytes): (usize, &[u8])| {
        let kind = if at == 0 { HEADERS } else { CONTINUATION };
        let flags = if at == 0 { flags } else { 0 } | if at == last { END_HEADERS } else { 0 };
        frame(kind, flags, 1, bytes)
    };
    block.chunks(size).enumerate().map(piece).collect()
}

const START_RULES: &[Row] = &[
    ("3.4: the preface and SETTINGS", Fresh, || vec![preface(), settings()], Last("settings")),
    ("3.4: another preface", Fresh, || vec![b"GET / HTTP/1.1\r\n".to_vec()], Connection(ProtocolError)),
    (
        "3.4: a preface that differs late",
        Fresh,
        || vec![b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r".to_vec()],
        Connection(ProtocolError),
    ),
    ("3.4: no SETTINGS of a client", Fresh, || vec![preface(), get(1)], Connection(ProtocolError)),
    (
        "3.4: PING before SETTINGS",
        Fresh,
        || vec![preface(), frame(PING, 0, 0, &[0; 8])],
        Connection(ProtocolError),
    ),
    (
        "3.4: an acknowledgement first",
        Fresh,
        || vec![preface(), frame(SETTINGS, 1, 0, &[])],
        Connection(ProtocolError),
    ),
    (
        "3.4: an unknown frame before SETTINGS",
        Fresh,
        || vec![preface(), frame(0x42, 0, 0, &[])],
        Connection(ProtocolError),
    ),
    (
        "3.4: no SETTINGS of a server",
        FreshClient,
        || vec![frame(PING, 0, 0, &[0; 8])],
        Connection(ProtocolError),
    ),
    ("3.4: SETTINGS of a server", FreshClient, || vec![settings()], Last("settings")),
    (
        "3.4: an HTTP/1.1 response",
        FreshClient,
        || vec![b"HTTP/1.1 400 Bad Request\r\n".to_vec()],
        Connection(FrameSizeError),
    ),
];

fn preface() -> Vec<u8> {
    PREFACE.to_vec()
}

#[test]
fn http2_conformance_of_the_start() {
    check(START_RULES);
    let mut client = Peer::fresh_client();
    assert!(client.out.starts_with(PREFACE));
    assert_eq!(client.sent_kinds(), [SETTINGS, WINDOW_UPDATE]);
    assert_eq!(Peer::fresh(&LIMITS).sent_kinds(), [SETTINGS]);
}

const FRAMES_RULES: &[Row] = &[
    (
        "4.1: the reserved bit is ignored",
        Server,
        || vec![frame(HEADERS, 5, 0x8000_0001, &block(GET))],
        Last(GOT),
    ),
    ("4.1: undefined flags are ignored", Server, || vec![frame(HEADERS, 0xc7, 1, &block(GET))], Last(GOT)),
    ("4.1: undefined flags of PING", Server, || vec![frame(PING, 0xfe, 0, &[0; 8])], Last("")),
    ("4.1, 5.5: an unknown type", Server, || vec![unknown(0xff, 0, 9), get(1)], Last(GOT)),
    ("4.1, 5.5: an unknown type on a stream", Server, || vec![unknown(0, 77, 9), get(1)], Last(GOT)),
    ("4.2: a frame of 2^14 bytes", Server, || vec![post(1), data(1, 1, 16_384)], Last(DATA_END)),
    (
        "4.2: a larger DATA frame",
        Server,
        || vec![post(1), frame(DATA, 0, 1, &[0; 16_385])],
        Connection(FrameSizeError),
    ),
    (
        "4.2: a larger HEADERS frame",
        Server,
        || vec![frame(HEADERS, 5, 1, &[0; 16_385])],
        Connection(FrameSizeError),
    ),
    ("4.2: a larger unknown frame", Server, || vec![unknown(0, 1, 16_385)], Connection(FrameSizeError)),
    (
        "4.2: too short for its priority",
        Server,
        || vec![frame(HEADERS, 0x25, 1, &[0; 4])],
        Connection(FrameSizeError),
    ),
    ("4.3: a block in pieces", Server, || split(3, END_STREAM), Last(GOT)),
    (
        "4.3: a block that cannot be decoded",
        Server,
        || vec![frame(HEADERS, 5, 1, &[0x80])],
        Connection(CompressionError),
    ),
    (
        "4.3: in the block of a refused stream",
        Server,
        || vec![vec![], refused(&[0x80])],
        Connection(CompressionError),
    ),
    (
        "4.3: in trailers",
        Server,
        || vec![post(1), frame(HEADERS, 5, 1, &[0xff])],
        Connection(CompressionError),
    ),
    (
        "4.3: DATA inside a block",
        Server,
        || vec![frame(HEADERS, 0, 1, &[]), data(1, 0, 1)],
        Connection(ProtocolError),
    ),
    (
        "4.3: PING inside a block",
        Server,
        || vec![frame(HEADERS, 0, 1, &[]), frame(PING, 0, 0, &[0; 8])],
        Connection(ProtocolError),
    ),
    (
        "5.5: an unknown type inside a block",
        Server,
        || vec![frame(HEADERS, 0, 1, &[]), unknown(0, 1, 1)],
        Connection(ProtocolError),
    ),
    ("6.1: DATA on the connection", Server, || vec![data(0, 0, 1)], Connection(ProtocolError)),
    (
        "6.1: padding as long as the payload",
        Server,
        || vec![post(1), frame(DATA, PADDED, 1, &[4, 0, 0, 0])],
        Connection(ProtocolError),
    ),
    (
        "6.1: padding without its length",
        Server,
        || vec![post(1), frame(DATA, PADDED, 1, &[]), vec![0]],
        Connection(ProtocolError),
    ),
    (
        "6.1: padding alone",
        Server,
        || vec![post(1), frame(DATA, PADDED | 1, 1, &[3, 0, 0, 0])],
        Last("data 1 end "),
    ),
    (
        "6.1: padding is left out",
        Server,
        || vec![post(1), frame(DATA, PADDED | 1, 1, b"\x02ab\0\0")],
        Last("data 1 end ab"),
    ),
    (
        "6.2: HEADERS on the connection",
        Server,
        || vec![frame(HEADERS, 5, 0, &block(GET))],
        Connection(ProtocolError),
    ),
    (
        "6.2: padding of HEADERS is too long",
        Server,
        || vec![frame(HEADERS, 13, 1, &[9, 0])],
        Connection(ProtocolError),
    ),
    (
        "6.2: padding of HEADERS",
        Server,
        || vec![frame(HEADERS, 13, 1, &[&[2][..], &block(GET), &[0, 0]].concat())],
        Last(GOT),
    ),
    (
        "6.2: a priority in HEADERS",
        Server,
        || vec![frame(HEADERS, 0x25, 1, &[&[0, 0, 0, 9, 1][..], &block(GET)].concat())],
        Last(GOT),
    ),
    (
        "6.3: PRIORITY on the connection",
        Server,
        || vec![frame(PRIORITY, 0, 0, &[0; 5])],
        Connection(ProtocolError),
    ),
    (
        "6.3: PRIORITY of another length",
        Server,
        || vec![frame(PRIORITY, 0, 1, &[0; 4])],
        Connection(FrameSizeError),
    ),
    ("6.3: PRIORITY in any state", Server, || vec![frame(PRIORITY, 0, 99, &[0; 5]), get(1)], Last(GOT)),
    (
        "7540, 5.3.1: a stream depends on itself",
        Server,
        || vec![frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 0])],
        Connection(ProtocolError),
    ),
    (
        "7540, 5.3.1: the same in HEADERS",
        Server,
        || vec![frame(HEADERS, 0x25, 1, &[&[0, 0, 0, 1, 1][..], &block(GET)].concat())],
        Connection(ProtocolError),
    ),
    ("6.4: RST_STREAM on the connection", Server, || vec![reset(0)], Connection(ProtocolError)),
    ("6.4: RST_STREAM of an idle stream", Server, || vec![reset(1)], Connection(ProtocolError)),
    (
        "6.4: RST_STREAM of another length",
        Server,
        || vec![get(1), frame(RST_STREAM, 0, 1, &[0; 5])],
        Connection(FrameSizeError),
    ),
    (
        "6.6: a client pushes",
        Server,
        || vec![get(1), frame(PUSH_PROMISE, 4, 1, &[0; 4])],
        Connection(ProtocolError),
    ),
    (
        "6.6, 8.4: a server pushes",
        Client,
        || vec![frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 2])],
        Connection(ProtocolError),
    ),
    (
        "6.10: CONTINUATION on the connection",
        Server,
        || vec![frame(HEADERS, 0, 1, &[]), frame(CONTINUATION, 4, 0, &[])],
        Connection(ProtocolError),
    ),
    (
        "6.10: CONTINUATION of another stream",
        Server,
        || vec![frame(HEADERS, 0, 1, &[]), frame(CONTINUATION, 4, 3, &[])],
        Connection(ProtocolError),
    ),
    (
        "6.10: CONTINUATION without a block",
        Server,
        || vec![get(1), frame(CONTINUATION, 4, 1, &[])],
        Connection(ProtocolError),
    ),
    (
        "6.10: CONTINUATION behind DATA",
        Server,
        || vec![post(1), data(1, 0, 1), frame(CONTINUATION, 4, 1, &[])],
        Connection(ProtocolError),
    ),
    (
        "6.10: another HEADERS inside a block",
        Server,
        || vec![frame(HEADERS, 0, 1, &[]), get(3)],
        Connection(ProtocolError),
    ),
    (
        "6.10: an empty last CONTINUATION",
        Server,
        || vec![frame(HEADERS, 1, 1, &block(GET)), frame(CONTINUATION, 4, 1, &[])],
        Last(GOT),
    ),
    ("10.5.1: too many CONTINUATION frames", Server, || split(20, 1), Connection(EnhanceYourCalm)),
];

/// A frame of a type that is not known.
fn unknown(flags: u8, stream: u32, bytes: usize) -> Vec<u8> {
    frame(0x42, flags, stream, &vec![0; bytes])
}

#[test]
fn http2_conformance_of_frames() {
    check(FRAMES_RULES);
}

/// The text of the last event for a DATA frame of 16 KiB that ends its stream.
const DATA_END: &str = {
    static BYTES: [u8; 11 + 16_384] = {
        let mut bytes = [b'x'; 11 + 16_384];
        let (start, mut at) = (b"data 1 end ", 0);
        while at < 11 {
            bytes[at] = start[at];
            at += 1;
        }
        bytes
    };
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => "",
    }
};

/// 100 open streams and one more with this block.
fn refused(block: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..100).flat_map(|at| get(1 + 2 * at)).collect();
    bytes.extend(frame(HEADERS, WHOLE, 201, block));
    bytes
}

const SETTINGS_RULES: &[Row] = &[
    (
        "6.5: an acknowledgement with a payload",
        Server,
        || vec![frame(SETTINGS, 1, 0, &[0; 6])],
        Connection(FrameSizeError),
    ),
    ("6.5: SETTINGS on a stream", Server, || vec![frame(SETTINGS, 0, 1, &[])], Connection(ProtocolError)),
    (
        "6.5: a length that is no multiple of six",
        Server,
        || vec![frame(SETTINGS, 0, 0, &[0; 5])],
        Connection(FrameSizeError),
    ),
    ("6.5.2: ENABLE_PUSH of 2", Server, || vec![setting(2, 2)], Connection(ProtocolError)),
    ("6.5.2: ENABLE_PUSH of a server", Client, || vec![setting(2, 1)], Connection(ProtocolError)),
    ("6.5.2: ENABLE_PUSH 0 of a server", Client, || vec![setting(2, 0)], Last("settings")),
    ("6.5.2: a window over 2^31-1", Server, || vec![setting(4, 1 << 31)], Connection(FlowControlError)),
    ("6.5.2: a window of 2^31-1", Server, || vec![setting(4, 0x7fff_ffff)], Last("settings")),
    ("6.5.2: a frame size under 2^14", Server, || vec![setting(5, 16_383)], Connection(ProtocolError)),
    ("6.5.2: a frame size over 2^24-1", Server, || vec![setting(5, 1 << 24)], Connection(ProtocolError)),
    (
        "6.5.2: the limits of the frame size",
        Server,
        || vec![many(&[(5, 16_384), (5, 16_777_215)])],
        Last("settings"),
    ),
    ("6.5.2: an unknown setting", Server, || vec![setting(0xffff, u32::MAX)], Last("settings")),
    (
        "6.9.2: a window that grows too large",
        Server,
        || vec![get(1), window_update(1, 0x7fff_0000), setting(4, 0x7fff_ffff)],
        Connection(FlowControlError),
    ),
    ("8441, 3: ENABLE_CONNECT_PROTOCOL of 2", Client, || vec![setting(8, 2)], Connection(ProtocolError)),
    ("8441, 3: taken back", Client, || vec![setting(8, 1), setting(8, 0)], Connection(ProtocolError)),
    ("9218, 2.1: NO_RFC7540_PRIORITIES of 2", Server, || vec![setting(9, 2)], Connection(ProtocolError)),
    ("6.7: PING on a stream", Server, || vec![frame(PING, 0, 1, &[0; 8])], Connection(ProtocolError)),
    ("6.7: PING of another length", Server, || vec![frame(PING, 0, 0, &[0; 7])], Connection(FrameSizeError)),
    ("6.8: GOAWAY on a stream", Server, || vec![frame(GOAWAY, 0, 1, &[0; 8])], Connection(ProtocolError)),
    (
        "6.8: GOAWAY with debug data",
        Server,
        || vec![frame(GOAWAY, 0, 0, b"\0\0\0\x05\0\0\0\0bye")],
        Last("goaway 5 NO_ERROR"),
    ),
    (
        "6.8: the reserved bit of GOAWAY",
        Server,
        || vec![frame(GOAWAY, 0, 0, b"\x80\0\0\x05\0\0\0\x02")],
        Last("goaway 5 INTERNAL_ERROR"),
    ),
    (
        "6.8: a second GOAWAY takes more",
        Client,
        || vec![frame(GOAWAY, 0, 0, &[0; 8]), frame(GOAWAY, 0, 0, b"\0\0\0\x05\0\0\0\0")],
        Connection(ProtocolError),
    ),
    (
        "7: an unknown code of RST_STREAM",
        Server,
        || vec![get(1), frame(RST_STREAM, 0, 1, &[0xff; 4])],
        Last("reset 1 INTERNAL_ERROR"),
    ),
    (
        "7: an unknown code of GOAWAY",
        Server,
        || vec![frame(GOAWAY, 0, 0, b"\0\0\0\x05\0\0\0\x99")],
        Last("goaway 5 INTERNAL_ERROR"),
    ),
    (
        "9218, 7.1: PRIORITY_UPDATE of a server",
        Client,
        || vec![frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1")],
        Connection(ProtocolError),
    ),
    (
        "9218, 7.1: PRIORITY_UPDATE for stream 0",
        Server,
        || vec![frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\0u=1")],
        Connection(ProtocolError),
    ),
    (
        "9218, 7.1: PRIORITY_UPDATE for a push",
        Server,
        || vec![frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x02u=1")],
        Connection(ProtocolError),
    ),
    (
        "9218, 7.1: PRIORITY_UPDATE on a stream",
        Server,
        || vec![frame(PRIORITY_UPDATE, 0, 1, b"\0\0\0\x01u=1")],
        Connection(ProtocolError),
    ),
    (
        "9218, 7.1: PRIORITY_UPDATE before its stream",
        Server,
        || vec![frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1"), get(1)],
        Last(GOT),
    ),
];

/// Several settings in one frame.
fn many(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = values.iter().flat_map(|(id, value)| setting(*id, *value).split_off(9)).collect();
    frame(SETTINGS, 0, 0, &payload)
}

#[test]
fn http2_conformance_of_settings() {
    check(SETTINGS_RULES);
}

#[test]
fn http2_conformance_of_answers() {
    let mut peer = Peer::server();
    peer.accept(&[setting(1, 100), frame(PING, 0, 0, b"12345678"), frame(PING, 1, 0, &[9; 8])].concat());
    let sent = peer.sent();
    // 6.5.3: an acknowledgement at once. 6.7: the same payload, and no answer to an answer.
    assert_eq!((sent[0].kind, sent[0].flags, sent[0].payload.len()), (SETTINGS, 1, 0));
    assert_eq!((sent[1].kind, sent[1].flags, &sent[1].payload[..]), (PING, 1, &b"12345678"[..]));
    assert_eq!(sent.len(), 2);
    // 5.4.1: GOAWAY names the last stream that may have been processed.
    peer.accept(&get(5));
    let error = peer.feed(&get(2)).unwrap_err();
    assert_eq!(error.to_string().split(':').next(), Some("PROTOCOL_ERROR"));
    peer.connection.fail(&error, &mut peer.out);
    let ConnectionError { code, detail } = error;
    let sent = peer.sent();
    assert_eq!(sent[0].kind, GOAWAY);
    let want = [&5u32.to_be_bytes()[..], &code.number().to_be_bytes(), detail.as_bytes()].concat();
    assert_eq!(sent[0].payload, want);
}
