//! RFC 9113, sections 5 and 6.9: the states of streams, and flow control.

use super::*;
use crate::http2::PAYLOAD_BYTES_MAX;

const STATES_RULES: &[Row] = &[
    ("5.1: DATA on an idle stream", Server, || vec![data(1, 0, 1)], Connection(ProtocolError)),
    ("5.1: WINDOW_UPDATE on an idle stream", Server, || vec![window_update(1, 1)], Connection(ProtocolError)),
    ("5.1: RST_STREAM on an idle stream", Server, || vec![reset(1)], Connection(ProtocolError)),
    ("5.1: PRIORITY on an idle stream", Server, || vec![frame(PRIORITY, 0, 1, &[0; 5])], Last("")),
    ("5.1: DATA on an idle stream of ours", Server, || vec![data(2, 0, 1)], Connection(ProtocolError)),
    (
        "5.1: open, then the end by DATA",
        Server,
        || vec![post(1), data(1, 0, 1), empty()],
        Last("data 1 end "),
    ),
    ("5.1: half-closed (remote): DATA", Server, || vec![get(1), data(1, 0, 1)], Stream(1, StreamClosed)),
    (
        "5.1: half-closed (remote): HEADERS",
        Server,
        || vec![get(1), headers(1, 1, &[("x", "y")])],
        Stream(1, StreamClosed),
    ),
    (
        "5.1: half-closed (remote): behind DATA",
        Server,
        || vec![post(1), empty(), data(1, 0, 1)],
        Stream(1, StreamClosed),
    ),
    ("5.1: half-closed (remote): WINDOW_UPDATE", Server, || vec![get(1), window_update(1, 1)], Last(GOT)),
    (
        "5.1: half-closed (remote): PRIORITY",
        Server,
        || vec![get(1), frame(PRIORITY, 0, 1, &[0; 5])],
        Last(GOT),
    ),
    ("5.1: half-closed (remote): RST_STREAM", Server, || vec![get(1), reset(1)], Last("reset 1 CANCEL")),
    (
        "5.1: closed by RST_STREAM: DATA",
        Server,
        || vec![post(1), reset(1), data(1, 0, 1)],
        Stream(1, StreamClosed),
    ),
    (
        "5.1: closed by RST_STREAM: HEADERS",
        Server,
        || vec![post(1), reset(1), headers(1, 1, &[])],
        Stream(1, StreamClosed),
    ),
    (
        "5.1: closed by RST_STREAM: WINDOW_UPDATE",
        Server,
        || vec![get(1), reset(1), window_update(1, 1)],
        Last("reset 1 CANCEL"),
    ),
    (
        "5.1: closed by RST_STREAM: RST_STREAM",
        Server,
        || vec![get(1), reset(1), reset(1)],
        Last("reset 1 CANCEL"),
    ),
    ("5.1.1: an even number", Server, || vec![get(2)], Connection(ProtocolError)),
    ("5.1.1: a number below an earlier one", Server, || vec![get(5), get(3)], Connection(ProtocolError)),
    (
        "5.1.1: numbers may be left out",
        Server,
        || vec![get(5), frame(HEADERS, 5, 9, &block(GET))],
        Last("head 9 end GET / HTTP/1.1|host: a.test||"),
    ),
    (
        "5.1.1: a response for a stream that was not opened",
        Client,
        || vec![headers(3, 1, &[(":status", "200")])],
        Connection(ProtocolError),
    ),
    (
        "5.1.1: a server opens a stream",
        Client,
        || vec![headers(2, 1, &[(":status", "200")])],
        Connection(ProtocolError),
    ),
    ("5.1: DATA for a stream that was not opened", Client, || vec![data(3, 0, 1)], Connection(ProtocolError)),
    (
        "5.1.2: more streams than allowed",
        Server,
        || (0..101).map(|at| get(1 + 2 * at)).collect(),
        Stream(201, RefusedStream),
    ),
    (
        "5.1: client: DATA behind the end",
        Client,
        || vec![headers(1, 1, &[(":status", "200")]), data(1, 0, 1)],
        Stream(1, StreamClosed),
    ),
    (
        "5.1: client: HEADERS behind the end",
        Client,
        || vec![headers(1, 1, &[(":status", "200")]), headers(1, 1, &[(":status", "200")])],
        Stream(1, StreamClosed),
    ),
];

/// The end of a body, without data.
fn empty() -> Vec<u8> {
    frame(DATA, END_STREAM, 1, &[])
}

#[test]
fn http2_conformance_of_states() {
    check(STATES_RULES);
}

#[test]
fn http2_conformance_of_closed_streams() {
    // 5.1: a stream that both sides ended.
    for (bytes, want) in [
        (data(1, 0, 1), Err(StreamClosed)),
        (get(1), Err(StreamClosed)),
        (window_update(1, 1), Ok(())),
        (frame(PRIORITY, 0, 1, &[0; 5]), Ok(())),
        (reset(1), Ok(())),
    ] {
        let mut peer = Peer::server();
        peer.accept(&get(1));
        peer.answer(peer.last());
        let got = peer.feed(&bytes).map(|events| assert!(events.is_empty())).map_err(|error| error.code);
        assert_eq!(got, want, "{bytes:?}");
    }
    // 5.1: frames that cross our RST_STREAM are ignored, and the block is decoded all the same.
    let mut peer = Peer::server();
    peer.accept(&post(1));
    let key = peer.last();
    peer.connection.reset(key, ErrorCode::Cancel, &mut peer.out);
    let indexed = frame(HEADERS, WHOLE, 1, b"\x40\x01a\x01b");
    assert!(peer.accept(&[data(1, 0, 9), window_update(1, 5), indexed].concat()).is_empty());
    peer.connection.close(key, &mut peer.out);
    assert!(peer.accept(&[data(1, 0, 9), window_update(1, 5), reset(1)].concat()).is_empty());
    // 5.4.2: no RST_STREAM answers a RST_STREAM, and one was sent in all.
    assert_eq!(peer.sent_kinds(), [RST_STREAM]);
    let mut block = block(GET);
    block.push(0xbe);
    let events = peer.accept(&frame(HEADERS, WHOLE, 3, &block));
    assert_eq!(events, ["head 3 end GET / HTTP/1.1|host: a.test|a: b||"]);
}

#[test]
fn http2_conformance_of_blocks_that_are_dropped() {
    // 4.3: a refused stream's block changes the table too.
    let mut peer = Peer::server();
    (0..100).for_each(|at| assert_eq!(peer.accept(&get(1 + 2 * at)).len(), 1));
    let block = [&block(GET)[..], b"\x40\x01a\x01b"].concat();
    assert_eq!(peer.accept(&frame(HEADERS, WHOLE, 201, &block)), ["fault 201 REFUSED_STREAM"]);
    let (first, again) = (peer.keys[0], [&super::block(GET)[..], &[0xbe]].concat());
    peer.answer(first);
    let events = peer.accept(&frame(HEADERS, WHOLE, 203, &again));
    assert_eq!(events, ["head 203 end GET / HTTP/1.1|host: a.test|a: b||"]);
}

const FLOW_CONTROL_RULES: &[Row] = &[
    (
        "6.9: WINDOW_UPDATE of 0 on the connection",
        Server,
        || vec![window_update(0, 0)],
        Connection(ProtocolError),
    ),
    (
        "6.9: WINDOW_UPDATE of 0 on a stream",
        Server,
        || vec![get(1), window_update(1, 0)],
        Stream(1, ProtocolError),
    ),
    ("6.9: another length", Server, || vec![frame(WINDOW_UPDATE, 0, 0, &[0; 3])], Connection(FrameSizeError)),
    ("6.9: the reserved bit is ignored", Server, || vec![window_update(0, 0x8000_0001)], Last("")),
    (
        "6.9: the reserved bit and 0",
        Server,
        || vec![window_update(0, 0x8000_0000)],
        Connection(ProtocolError),
    ),
    (
        "6.9.1: the window of the connection over 2^31-1",
        Server,
        || vec![most()],
        Connection(FlowControlError),
    ),
    (
        "6.9.1: the window of a stream over 2^31-1",
        Server,
        || vec![get(1), window_update(1, 0x7fff_ffff)],
        Stream(1, FlowControlError),
    ),
    (
        "6.9.1: up to 2^31-1",
        Server,
        || vec![get(1), window_update(1, 0x7fff_0000), window_update(0, 0x7fff_0000)],
        Last(GOT),
    ),
    (
        "6.9.1: data beyond the stream's window",
        Server,
        || vec![post(1), full(), full(), full(), full()],
        Stream(1, FlowControlError),
    ),
    (
        "6.9.2: the first window has 65,535 bytes",
        Server,
        || vec![post(1), full(), full(), full(), data(1, 0, 16_383)],
        Last(DATA_REST),
    ),
    (
        "6.9.1: padding counts",
        Server,
        || {
            vec![
                post(1),
                full(),
                full(),
                full(),
                frame(DATA, PADDED, 1, &[&[255][..], &[0; 16_383]].concat()),
            ]
        },
        Stream(1, FlowControlError),
    ),
];

/// A DATA frame of the largest size.
fn full() -> Vec<u8> {
    data(1, 0, PAYLOAD_BYTES_MAX)
}

/// The largest increment for the connection.
fn most() -> Vec<u8> {
    window_update(0, 0x7fff_ffff)
}

#[test]
fn http2_conformance_of_flow_control() {
    check(FLOW_CONTROL_RULES);
}

const DATA_REST: &str = {
    static BYTES: [u8; 7 + 16_383] = {
        let mut bytes = [b'x'; 7 + 16_383];
        let (start, mut at) = (b"data 1 ", 0);
        while at < 7 {
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

#[test]
fn http2_conformance_of_the_windows_of_a_connection() {
    // 6.9.1: streams share the window of the connection. It grows from the budget, and here there is none.
    let mut peer = Peer::fresh(&LIMITS);
    peer.budget = crate::http2::WindowBudget::new(0);
    peer.connection = crate::http2::Connection::server(&LIMITS, &peer.budget, peer.now, &mut peer.out);
    peer.accept(&[crate::http2::PREFACE, &settings()].concat());
    peer.accept(&[post(1), post(3)].concat());
    for stream in [1, 3] {
        peer.accept(&[data(stream, 0, 16_384), data(stream, 0, 16_383)].concat());
    }
    peer.accept(&data(1, 0, 1));
    let error = peer.feed(&data(3, 0, 1)).unwrap_err();
    assert_eq!(error.code, FlowControlError);
}
