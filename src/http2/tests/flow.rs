//! Flow control, shutdown and the ends of streams, seen from the outside.

use std::time::Duration;

use super::super::*;
use super::peer::*;

#[test]
fn data_wait_for_the_windows_and_go_on_with_them() {
    let mut peer = Peer::server();
    peer.accept(&setting(4, 10));
    peer.accept(&[get(1), get(3)].concat());
    let [one, three] = peer.keys[..] else { panic!() };
    let send = |peer: &mut Peer, key, bytes, ends| {
        peer.connection.send_data(key, bytes, ends).map(|(bytes, head)| (bytes, head[4]))
    };
    assert_eq!(send(&mut peer, one, 25, true), Some((10, 0)));
    assert_eq!(send(&mut peer, one, 15, true), None);
    assert_eq!(peer.accept(&window_update(1, 5)), ["capacity Some(1)"]);
    assert_eq!(send(&mut peer, one, 15, true), Some((5, 0)));
    // The windows of both streams move, that of the first below zero and back.
    assert_eq!(peer.accept(&setting(4, 0)), ["settings"]);
    assert_eq!(send(&mut peer, three, 1, false), None);
    assert!(peer.accept(&window_update(1, 9)).is_empty());
    assert_eq!(peer.accept(&window_update(1, 2)), ["capacity Some(1)"]);
    assert_eq!(send(&mut peer, one, 10, true), Some((1, 0)));
    assert_eq!(peer.accept(&setting(4, 100_000)), ["settings"]);
    assert_eq!(send(&mut peer, one, 9, true), Some((9, END_STREAM)));
    assert_eq!(send(&mut peer, one, 9, true), None);
    // A frame has at most 16,384 bytes, and the window of the connection is used up.
    let frames: Vec<_> = std::iter::from_fn(|| send(&mut peer, three, 99_999, false)).collect();
    assert_eq!(frames.iter().map(|(bytes, _)| bytes).sum::<usize>(), 65_535 - 25);
    assert!(frames.iter().all(|(bytes, _)| *bytes <= PAYLOAD_BYTES_MAX));
    assert_eq!(peer.accept(&window_update(0, 1)), ["capacity None"]);
    assert_eq!(send(&mut peer, three, 5, true), Some((1, 0)));
    // An end without data needs no window.
    assert_eq!(send(&mut peer, three, 0, true), Some((0, END_STREAM)));
}

/// The bytes that the frames of a kind give back, for the connection and for stream 1.
fn credit(peer: &mut Peer) -> (u32, u32) {
    let mut credit = (0, 0);
    for frame in peer.sent().iter().filter(|frame| frame.kind == WINDOW_UPDATE) {
        let increment = u32::from_be_bytes(frame.payload[..].try_into().unwrap());
        *if frame.stream == 0 { &mut credit.0 } else { &mut credit.1 } += increment;
    }
    credit
}

#[test]
fn credit_goes_back_when_data_are_taken() {
    let mut peer = Peer::server();
    peer.accept(&post(1));
    let key = peer.last();
    peer.accept(&[data(1, 0, 16_384), data(1, 0, 16_384)].concat());
    assert_eq!(credit(&mut peer), (0, 0));
    peer.connection.release_capacity(key, 16_384, &mut peer.out);
    assert_eq!(credit(&mut peer), (0, 0));
    peer.connection.release_capacity(key, 16_384, &mut peer.out);
    assert_eq!(credit(&mut peer), (32_768, 32_768));
    // Padding and the byte of its length come back by themselves; nothing else does.
    let padded = frame(DATA, PADDED, 1, &[&[200][..], &[0; 300]].concat());
    (0..200).for_each(|_| _ = peer.accept(&padded));
    peer.connection.release_capacity(key, 20_000, &mut peer.out);
    let (connection, stream) = credit(&mut peer);
    assert!(connection >= 32_768 && stream >= 32_768, "{connection} {stream}");
    assert_eq!(peer.connection.held().unread, 0);
    // More than came is not given back.
    peer.connection.release_capacity(key, usize::MAX, &mut peer.out);
    assert_eq!(credit(&mut peer), (0, 0));
}

#[test]
fn windows_grow_while_they_are_the_brake_and_the_budget_gets_all_back() {
    let mut peer = Peer::server();
    let whole = peer.budget.left();
    peer.accept(&post(1));
    let (key, mut window, mut connection, mut largest) = (peer.last(), 65_535i64, 65_535i64, 0);
    for _ in 0..100 {
        // The peer sends all that it may before anything is read: the window is the brake.
        let mut sent = 0;
        while window.min(connection) > 0 {
            let bytes = window.min(connection).min(16_384);
            peer.accept(&data(1, 0, bytes as usize));
            let (for_connection, for_stream) = credit(&mut peer);
            (window, connection) =
                (window - bytes + i64::from(for_stream), connection - bytes + i64::from(for_connection));
            sent += bytes as usize;
        }
        peer.connection.release_capacity(key, sent, &mut peer.out);
        let (for_connection, for_stream) = credit(&mut peer);
        (window, connection) = (window + i64::from(for_stream), connection + i64::from(for_connection));
        largest = largest.max(window.min(connection));
    }
    assert!(largest > i64::from(UNREAD_WINDOW_BYTES_MAX) / 2, "{largest}");
    assert!(window <= i64::from(STREAM_WINDOW_BYTES_MAX), "{window}");
    assert!(peer.budget.left() < whole - UNREAD_WINDOW_BYTES_MAX);
    peer.connection.close(key, &mut peer.out);
    drop(peer.connection);
    assert_eq!(peer.budget.left(), whole);
}

#[test]
fn unread_data_of_one_stream_leave_room_for_others() {
    let mut peer = Peer::server();
    peer.accept(&[post(1), post(3)].concat());
    // Nothing takes the data of stream 1.
    for _ in 0..3 {
        peer.accept(&data(1, 0, 16_384));
    }
    peer.accept(&data(1, 0, 16_383));
    let three = peer.last();
    for _ in 0..100 {
        peer.accept(&data(3, 0, 16_000));
        peer.connection.release_capacity(three, 16_000, &mut peer.out);
    }
    assert_eq!(peer.connection.held().unread, 65_535);
    // The end of a stream gives back what nothing took.
    let one = peer.keys[0];
    peer.connection.close(one, &mut peer.out);
    assert_eq!(peer.connection.held().unread, 0);
}

#[test]
fn a_stream_that_is_reset_inside_a_frame_gives_its_data_to_nothing() {
    let mut peer = Peer::server();
    peer.accept(&post(1));
    let (key, frame) = (peer.last(), data(1, END_STREAM, 100));
    assert_eq!(peer.accept(&frame[..50]), [format!("data 1 {}", "x".repeat(41))]);
    peer.connection.close(key, &mut peer.out);
    assert!(peer.accept(&frame[50..]).is_empty());
    assert_eq!(peer.connection.held().unread, 0);
    assert_eq!(peer.accept(&get(3)), ["head 3 end GET / HTTP/1.1|host: a.test||"]);
}

#[test]
fn a_stream_that_we_reset_gets_nothing_more() {
    let mut peer = Peer::server();
    peer.accept(&post(1));
    let (key, frame) = (peer.last(), data(1, END_STREAM, 100));
    peer.accept(&frame[..50]);
    peer.connection.reset(key, ErrorCode::Cancel, &mut peer.out);
    assert!(peer.accept(&frame[50..]).is_empty());
    assert!(peer.accept(&data(1, 0, 5)).is_empty());
    // So does a stream that was refused. Its client did not know that when it sent its data.
    let mut peer = Peer::server();
    peer.accept(&headers(1, 0, &GET[1..]));
    assert!(peer.accept(&[data(1, 0, 5), headers(1, END_STREAM, &[("x", "y")])].concat()).is_empty());
    assert_eq!(peer.sent_kinds(), [RST_STREAM]);
}

#[test]
fn a_close_says_how_the_stream_ended() {
    let codes = |peer: &mut Peer| -> Vec<u32> {
        let frames = peer.sent().into_iter().filter(|frame| frame.kind == RST_STREAM);
        frames.map(|frame| u32::from_be_bytes(frame.payload[..].try_into().unwrap())).collect()
    };
    let mut peer = Peer::server();
    peer.accept(&[get(1), post(3), post(5), post(7)].concat());
    let [one, three, five, seven] = peer.keys[..] else { panic!() };
    peer.answer(one);
    assert!(codes(&mut peer).is_empty());
    // The response is complete and the request is not: NO_ERROR (RFC 9113, section 8.1).
    peer.answer(three);
    assert_eq!(codes(&mut peer), [0]);
    // The response is not complete, which the client has not asked for: INTERNAL_ERROR.
    peer.connection.close(five, &mut peer.out);
    assert_eq!(codes(&mut peer), [2]);
    peer.accept(&reset(7));
    peer.connection.close(seven, &mut peer.out);
    assert!(codes(&mut peer).is_empty());
    assert_eq!(peer.connection.held().streams, 0);
    // Behind both ends no frame of the stream is sent, whatever comes.
    peer.accept(&get(9));
    let nine = peer.last();
    assert!(peer.connection.send_head(nine, &[0x88], true, &mut peer.out));
    peer.out.clear();
    peer.connection.reset(nine, ErrorCode::Cancel, &mut peer.out);
    assert!(peer.accept(&window_update(9, 0)).is_empty());
    peer.connection.close(nine, &mut peer.out);
    assert!(peer.out.is_empty());
    assert_eq!(peer.connection.held().streams, 0);
    // A handle that is closed does nothing.
    peer.connection.close(five, &mut peer.out);
    peer.connection.reset(five, ErrorCode::Cancel, &mut peer.out);
    assert!(!peer.connection.send_head(five, &[], true, &mut peer.out));
    assert!(peer.connection.send_data(five, 1, true).is_none());
    assert!(peer.out.is_empty());
}

#[test]
fn a_shutdown_loses_no_stream() {
    let mut peer = Peer::server();
    peer.accept(&get(1));
    peer.connection.shut_down(peer.now, &mut peer.out);
    let sent = peer.sent();
    assert_eq!(sent.iter().map(|frame| frame.kind).collect::<Vec<_>>(), [GOAWAY, PING]);
    assert_eq!(sent[0].payload, [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    // A stream that was on the way is served.
    assert_eq!(peer.accept(&get(3)).len(), 1);
    peer.accept(&frame(PING, 1, 0, &sent[1].payload));
    let sent = peer.sent();
    assert_eq!((sent[0].kind, &sent[0].payload[..4]), (GOAWAY, &[0, 0, 0, 3][..]));
    assert_eq!(peer.accept(&get(5)), ["fault 5 REFUSED_STREAM"]);
    assert!(!peer.connection.is_over());
    for key in peer.keys.clone() {
        peer.answer(key);
    }
    assert!(peer.connection.is_over());
}

#[test]
fn deadlines_end_what_a_silent_peer_leaves_open() {
    let mut peer = Peer::server();
    assert_eq!(peer.connection.deadline(), None);
    peer.connection.shut_down(peer.now, &mut peer.out);
    let deadline = peer.connection.deadline().unwrap();
    assert_eq!(deadline, peer.now + Duration::from_secs(1));
    peer.out.clear();
    peer.connection.tick(peer.now, &mut peer.out).unwrap();
    assert!(peer.out.is_empty());
    peer.connection.tick(deadline, &mut peer.out).unwrap();
    assert_eq!(peer.sent_kinds(), [GOAWAY]);
    assert!(peer.connection.is_over());

    let mut silent = Peer::fresh(&LIMITS);
    let deadline = silent.connection.deadline().unwrap();
    assert_eq!(deadline, silent.now + SETTINGS_TIMEOUT);
    let error = silent.connection.tick(deadline, &mut silent.out).unwrap_err();
    assert_eq!(error.code, ErrorCode::SettingsTimeout);
}

#[test]
fn a_client_opens_streams_as_far_as_the_server_lets_it() {
    let mut peer = Peer::client(false);
    peer.accept(&setting(3, 2));
    let open = |peer: &mut Peer| peer.connection.open(&block(GET), RequestKind::Plain, true, &mut peer.out);
    let three = open(&mut peer).unwrap();
    assert_eq!((three.id(), peer.connection.room()), (3, 0));
    assert_eq!(open(&mut peer), Err(OpenError::Full));
    peer.connection.close(three, &mut peer.out);
    let five = open(&mut peer).unwrap();
    // 6.8: streams beyond the last one of GOAWAY may be sent again.
    assert_eq!(peer.accept(&frame(GOAWAY, 0, 0, b"\0\0\0\x01\0\0\0\0")), ["goaway 1 NO_ERROR"]);
    assert_eq!(peer.connection.unprocessed().collect::<Vec<_>>(), [five]);
    assert_eq!(open(&mut peer), Err(OpenError::Closing));
    let refused = frame(RST_STREAM, 0, 5, &7u32.to_be_bytes());
    assert_eq!(peer.accept(&refused), ["reset 5 REFUSED_STREAM"]);
}

#[test]
fn long_heads_are_split_and_the_first_block_gives_up_the_table() {
    let mut peer = Peer::server();
    peer.accept(&get(1));
    let key = peer.last();
    let block = vec![0x55; 40_000];
    assert!(peer.connection.send_head(key, &block, true, &mut peer.out));
    let sent = peer.sent();
    let kinds: Vec<_> = sent.iter().map(|frame| (frame.kind, frame.flags, frame.payload.len())).collect();
    assert_eq!(
        kinds,
        [(HEADERS, END_STREAM, 16_384), (CONTINUATION, 0, 16_384), (CONTINUATION, END_HEADERS, 7_233)]
    );
    let sent: Vec<u8> = sent.into_iter().flat_map(|frame| frame.payload).collect();
    assert_eq!((sent[0], &sent[1..]), (0x20, &block[..]));
    peer.accept(&get(3));
    let key = peer.last();
    assert!(peer.connection.send_head(key, &[0x88], true, &mut peer.out));
    assert_eq!(peer.sent()[0].payload, [0x88]);
}

#[test]
fn priorities_come_with_the_request_and_after_it() {
    let mut peer = Peer::server();
    peer.accept(&headers(1, 1, &[GET, &[("priority", "u=1, i")]].concat()));
    let key = peer.last();
    assert_eq!(peer.connection.priority(key), Priority { urgency: 1, incremental: true });
    peer.accept(&frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=6"));
    assert_eq!(peer.connection.priority(key), Priority { urgency: 6, incremental: false });
}
