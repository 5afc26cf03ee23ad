//! Attacks on the engine. Each is judged by the frames until the connection ends, and by the memory that the engine
//! says it holds. Beside each attack stands an honest peer with as many frames, which is served.

use std::time::Duration;

use super::super::*;
use super::peer::*;

/// Frames of an attack that is still accepted after this many costs nothing.
const ROUNDS: u32 = 100_000;

/// The largest memory that the engine held, and the output, during an attack.
#[derive(Default, Debug)]
struct Most {
    slots: usize,
    heads: usize,
    block: usize,
    table: usize,
    unread: usize,
    out: usize,
    workspace: usize,
}

impl Most {
    fn look(&mut self, peer: &Peer) {
        let held = peer.connection.held();
        self.slots = self.slots.max(held.slots);
        self.heads = self.heads.max(held.heads);
        self.block = self.block.max(held.block);
        self.table = self.table.max(held.table);
        self.unread = self.unread.max(held.unread);
        self.out = self.out.max(peer.out.len());
        self.workspace = self.workspace.max(peer.workspace.held());
    }

    /// Checks the bounds that hold for every attack on one connection.
    fn check(&self) {
        assert!(self.slots <= LIMITS.streams as usize, "{self:?}");
        assert!(self.heads <= HELD_HEAD_BYTES_MAX, "{self:?}");
        assert!(self.block <= 2 * BLOCK_BYTES_MAX, "{self:?}");
        assert!(self.table <= 8 * 1024, "{self:?}");
        assert!(self.unread <= UNREAD_WINDOW_BYTES_MAX as usize, "{self:?}");
        assert!(self.out <= OUTPUT_BYTES_MAX + 64, "{self:?}");
        assert!(self.workspace <= 1024 * 1024, "{self:?}");
    }
}

/// Repeats `attack` until the connection ends. Gives the rounds and the code; `None` if it does not end.
fn attack(peer: &mut Peer, mut attack: impl FnMut(u32, &mut Peer) -> Vec<u8>) -> Option<(u32, ErrorCode)> {
    let mut most = Most::default();
    for round in 0..ROUNDS {
        let bytes = attack(round, peer);
        let outcome = peer.feed(&bytes);
        most.look(peer);
        most.check();
        if let Err(error) = outcome {
            return Some((round, error.code));
        }
        peer.out.clear();
    }
    None
}

/// The number of a client's stream.
fn number(round: u32) -> u32 {
    1 + 2 * round
}

/// Closes the streams that came, as an application does whose work was cancelled.
fn close_all(peer: &mut Peer) {
    for key in std::mem::take(&mut peer.keys) {
        peer.connection.close(key, &mut peer.out);
    }
}

#[test]
fn rapid_reset_ends_the_connection() {
    // CVE-2023-44487. The application ends each stream at once, so only the tokens are a limit.
    let ended = attack(&mut Peer::server(), |round, peer| {
        close_all(peer);
        [get(number(round)), reset(number(round))].concat()
    });
    assert_eq!(ended, Some((TOKENS_MAX, ErrorCode::EnhanceYourCalm)));
    // The application is slow, so that the streams fill up first.
    let ended = attack(&mut Peer::server(), |round, _| [get(number(round)), reset(number(round))].concat());
    assert!(ended.is_some_and(|(round, _)| round <= TOKENS_MAX));
}

#[test]
fn resets_between_answers_are_served() {
    let ended = attack(&mut Peer::server(), |round, peer| {
        for key in std::mem::take(&mut peer.keys) {
            if round % 2 == 1 { peer.answer(key) } else { peer.connection.close(key, &mut peer.out) }
        }
        let cancel = if round % 2 == 1 { reset(number(round)) } else { Vec::new() };
        [get(number(round)), cancel].concat()
    });
    assert_eq!(ended, None);
}

#[test]
fn resets_that_the_peer_makes_us_send_cost_as_much() {
    // CVE-2025-8671: six ways.
    let open = |round| headers(number(round), 0, POST);
    let ways: [&dyn Fn(u32) -> Vec<u8>; 6] = [
        &|round| [get(number(round)), window_update(number(round), 0)].concat(),
        &|round| [get(number(round)), window_update(number(round), 0x7fff_ffff)].concat(),
        &|round| [get(number(round)), data(number(round), 0, 1)].concat(),
        &|round| [get(number(round)), headers(number(round), 1, &[])].concat(),
        &|round| [open(round), headers(number(round), 0, &[("x", "y")])].concat(),
        &|round| headers(number(round), 1, &[(":method", "GET")]),
    ];
    for (at, way) in ways.into_iter().enumerate() {
        let ended = attack(&mut Peer::server(), |round, peer| {
            close_all(peer);
            way(round)
        });
        assert_eq!(ended, Some((TOKENS_MAX, ErrorCode::EnhanceYourCalm)), "way {at}");
    }
}

#[test]
fn more_streams_than_allowed_are_refused_and_paid_for() {
    let ended = attack(&mut Peer::server(), |round, _| get(number(round)));
    assert_eq!(ended, Some((LIMITS.streams + TOKENS_MAX, ErrorCode::EnhanceYourCalm)));
}

#[test]
fn floods_of_continuation_end_the_connection() {
    // CVE-2024-27316: empty, small and large frames, without an end.
    for (bytes, rounds) in [(0, 1), (1, 9), (16_384, 4)] {
        let ended = attack(&mut Peer::server(), |round, _| match round {
            0 => frame(HEADERS, 0, 1, &[0; 16]),
            _ => frame(CONTINUATION, 0, 1, &vec![0; bytes]),
        });
        assert_eq!(ended, Some((rounds, ErrorCode::EnhanceYourCalm)), "{bytes}");
    }
    // The memory of a block is given back at its end.
    let mut peer = Peer::server();
    let whole = block(GET);
    let (first, rest) = whole.split_at(5);
    peer.accept(&[frame(HEADERS, END_STREAM, 1, first), frame(CONTINUATION, END_HEADERS, 1, rest)].concat());
    assert_eq!(peer.connection.held().block, 0);
}

#[test]
fn floods_of_frames_that_want_an_answer_end_the_connection() {
    // CVE-2019-9512, 9515 and their like. A frame that follows one of a stream is free.
    let free = 1;
    for (what, flood) in [
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("PING answers", frame(PING, 1, 0, &[0; 8])),
        ("SETTINGS", setting(3, 100)),
        ("SETTINGS answers", frame(SETTINGS, 1, 0, &[])),
        ("unknown frames", frame(0x77, 0, 0, &[])),
        ("GOAWAY", frame(GOAWAY, 0, 0, &[0; 8])),
    ] {
        let ended = attack(&mut Peer::server(), |_, _| flood.clone());
        let (rounds, code) = ended.unwrap();
        assert_eq!(code, ErrorCode::EnhanceYourCalm, "{what}");
        assert!(rounds <= TOKENS_MAX + free, "{what}: {rounds}");
    }
    // gRPC measures bandwidth with a PING for each burst of data.
    let mut peer = Peer::server();
    peer.accept(&post(1));
    let ended = attack(&mut peer, |_, peer| {
        let key = peer.last();
        peer.connection.release_capacity(key, usize::MAX, &mut peer.out);
        [data(1, 0, 100), frame(PING, 0, 0, &[0; 8])].concat()
    });
    assert_eq!(ended, None);
}

#[test]
fn a_peer_that_reads_no_answer_is_not_read() {
    let mut peer = Peer::server();
    peer.accept(&post(1));
    let frames: Vec<u8> =
        (0..20_000).flat_map(|_| [data(1, 0, 1), frame(PING, 0, 0, &[0; 8])].concat()).collect();
    let mut most = Most::default();
    peer.accept(&frames);
    most.look(&peer);
    most.check();
    assert!(peer.out.len() > OUTPUT_BYTES_MAX);
    let waiting = peer.out.len();
    assert!(peer.accept(&get(3)).is_empty());
    assert_eq!(peer.out.len(), waiting);
    peer.out.clear();
    assert!(!peer.accept(&[]).is_empty());
}

#[test]
fn frames_without_use_end_the_connection() {
    // CVE-2019-9518, RUSTSEC-2026-0258: DATA without data.
    for empty in [frame(DATA, 0, 1, &[]), frame(DATA, PADDED, 1, &[0]), frame(DATA, PADDED, 1, &[3, 0, 0, 0])]
    {
        let mut peer = Peer::server();
        peer.accept(&post(1));
        let ended = attack(&mut peer, |_, _| empty.clone());
        assert_eq!(ended, Some((TOKENS_MAX, ErrorCode::EnhanceYourCalm)));
    }
    // Small DATA are what a stream of tokens is made of.
    let mut peer = Peer::server();
    peer.accept(&post(1));
    let ended = attack(&mut peer, |_, peer| {
        let key = peer.last();
        peer.connection.release_capacity(key, usize::MAX, &mut peer.out);
        data(1, 0, 1)
    });
    assert_eq!(ended, None);
}

#[test]
fn floods_of_priorities_and_windows_end_the_connection() {
    let dependency = frame(PRIORITY, 0, 1, &[0, 0, 0, 9, 1]);
    let ended = attack(&mut Peer::server(), |_, _| dependency.clone());
    assert_eq!(ended, Some((FREE_PRIORITIES + TOKENS_MAX, ErrorCode::EnhanceYourCalm)));
    let update = frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1");
    let ended = attack(&mut Peer::server(), |_, _| update.clone());
    assert_eq!(ended, Some((FREE_PRIORITIES + TOKENS_MAX, ErrorCode::EnhanceYourCalm)));
    let ended = attack(&mut Peer::server(), |_, _| window_update(0, 1));
    assert_eq!(ended, Some((FREE_WINDOW_UPDATES + TOKENS_MAX, ErrorCode::EnhanceYourCalm)));
    // A download needs two updates for each frame.
    let mut peer = Peer::server();
    peer.accept(&get(1));
    let ended = attack(&mut peer, |_, peer| {
        let key = peer.last();
        let (bytes, _) = peer.connection.send_data(key, 16_384, false).unwrap();
        [window_update(0, bytes as u32), window_update(1, bytes as u32)].concat()
    });
    assert_eq!(ended, None);
}

#[test]
fn windows_of_a_few_bytes_end_the_connection_and_slow_readers_do_not() {
    // CVE-2019-9511.
    let dribble = |window: u32| {
        let mut peer = Peer::server();
        peer.accept(&[setting(4, 0), get(1)].concat());
        attack(&mut peer, |_, peer| {
            let key = peer.last();
            _ = peer.connection.send_data(key, 100_000, false);
            [window_update(1, window), window_update(0, window)].concat()
        })
    };
    let (rounds, code) = dribble(1).unwrap();
    assert_eq!(code, ErrorCode::EnhanceYourCalm);
    assert!(rounds <= DRIBBLES_MAX + 10, "{rounds}");
    assert_eq!(dribble(1000), None);
}

#[test]
fn window_games_end_in_errors_of_their_level() {
    let mut peer = Peer::server();
    peer.accept(&get(1));
    for value in [0, 0x7fff_ffff, 1, 65_535] {
        assert_eq!(peer.accept(&setting(4, value)), ["settings"]);
    }
    // A window that is at its end moves over it with SETTINGS.
    peer.accept(&window_update(1, 0x7fff_ffff - 65_535));
    assert_eq!(peer.feed(&setting(4, 65_536)).unwrap_err().code, ErrorCode::FlowControlError);
}

#[test]
fn a_head_that_grows_while_it_is_decoded_is_cut() {
    // The bomb of 2016: one large entry, then its index again and again. The stream gets a 431.
    let entry = [&b"\x40\x01a\x7f\x81\x17"[..], &[b'x'; 3072]].concat();
    let bomb = |times: usize| [&block(GET)[..], &entry, &vec![0xbe; times]].concat();
    let mut peer = Peer::server();
    assert_eq!(peer.accept(&frame(HEADERS, WHOLE, 1, &bomb(30))), ["refused 1 end head_too_large"]);
    let mut most = Most::default();
    most.look(&peer);
    assert!(most.workspace <= 256 * 1024, "{most:?}");
    let error = peer.feed(&frame(HEADERS, WHOLE, 3, &bomb(100))).unwrap_err();
    assert_eq!(error.code, ErrorCode::EnhanceYourCalm);
    most.look(&peer);
    most.check();
}

#[test]
fn crumbs_and_tiny_fields_count_as_fields() {
    // The bomb of 2026: 129 crumbs of one byte each on the wire.
    for name in ["cookie", "x"] {
        let mut peer = Peer::server();
        let entry = [&[0x40, name.len() as u8][..], name.as_bytes(), b"\x01a"].concat();
        let bomb = |times: usize| [&block(GET)[..], &entry, &vec![0xbe; times]].concat();
        let told = peer.accept(&frame(HEADERS, WHOLE, 1, &bomb(126)));
        assert!(told[0].starts_with("head 1 end"), "{told:?}");
        assert_eq!(peer.accept(&frame(HEADERS, WHOLE, 3, &bomb(127))), ["refused 3 end head_too_large"]);
    }
}

#[test]
fn heads_that_are_held_are_bounded() {
    // Each head has 60 KiB and costs 25 bytes; the application answers none of them.
    let mut peer = Peer::server();
    let entry = [&b"\x40\x01a\x7f\xc1\x0e"[..], &[b'x'; 1984]].concat();
    let first = [&block(GET)[..], &entry, &[0xbe; 28]].concat();
    let again = [&block(GET)[..], &[0xbe; 29]].concat();
    assert_eq!(peer.accept(&frame(HEADERS, WHOLE, 1, &first)).len(), 1);
    let ended = attack(&mut peer, |round, _| frame(HEADERS, WHOLE, number(round + 1), &again));
    assert_eq!(ended.map(|(_, code)| code), Some(ErrorCode::EnhanceYourCalm));
    // A head that is let go makes room.
    let mut peer = Peer::server();
    peer.accept(&frame(HEADERS, WHOLE, 1, &first));
    for round in 1..90 {
        let key = peer.last();
        peer.connection.release_head(key);
        assert_eq!(peer.accept(&frame(HEADERS, WHOLE, number(round), &again)).len(), 1);
    }
    assert!(peer.connection.held().heads < 64 * 1024);
}

#[test]
fn data_for_streams_that_we_reset_are_dropped() {
    // A window of small frames is free, because it may be on the way.
    let mut peer = Peer::server();
    peer.accept(&post(1));
    let key = peer.last();
    peer.answer(key);
    for _ in 0..FREE_LATE_FRAMES_PER_RESET {
        assert!(peer.accept(&data(1, 0, 60)).is_empty());
    }
    assert_eq!(peer.connection.held().tokens, TOKENS_MAX);
    let ended = attack(&mut peer, |_, _| data(1, 0, 60));
    assert_eq!(ended, Some((TOKENS_MAX, ErrorCode::EnhanceYourCalm)));
}

#[test]
fn uploads_that_nothing_takes_are_bounded() {
    let mut peer = Peer::server();
    peer.accept(&(0..100).flat_map(|at| post(number(at))).collect::<Vec<_>>());
    // Every stream sends its whole window, as far as the connection lets it.
    let mut left = 65_535u32;
    let mut most = Most::default();
    for stream in (0..100).map(number) {
        for size in [16_384, 16_384, 16_384, 16_383] {
            let size = size.min(left);
            if size == 0 {
                break;
            }
            peer.accept(&data(stream, 0, size as usize));
            left -= size;
            for frame in peer.sent().iter().filter(|frame| frame.kind == WINDOW_UPDATE) {
                assert_eq!(frame.stream, 0);
                left += u32::from_be_bytes(frame.payload[..].try_into().unwrap());
            }
            most.look(&peer);
        }
    }
    most.check();
    assert_eq!(left, 0);
    let borrowed = 32 * 1024 * 1024 - peer.budget.left();
    let unread = peer.connection.held().unread;
    assert!((1_000_000..=65_535 + borrowed as usize).contains(&unread), "{unread}");
}

#[test]
fn uploads_that_are_stuck_leave_a_window_to_others() {
    // Eleven uploads are stuck, with 700 KiB of the 1 MiB that may lie unread.
    let mut peer = Peer::server();
    peer.accept(&(0..12).flat_map(|at| post(number(at))).collect::<Vec<_>>());
    let take = |peer: &mut Peer, stream, size| {
        peer.accept(&data(stream, 0, size));
        let updates =
            peer.sent().into_iter().filter(|frame| frame.kind == WINDOW_UPDATE && frame.stream == 0);
        updates.map(|frame| u32::from_be_bytes(frame.payload[..].try_into().unwrap())).sum::<u32>()
    };
    let mut left = 65_535u32;
    for (stream, size) in (0..11).map(number).flat_map(|stream| [16_384; 3].map(|size| (stream, size))) {
        left = left - size + take(&mut peer, stream, size as usize);
    }
    let last = peer.last();
    for _ in 0..1000 {
        assert!(left >= 8000, "{left}");
        left = left - 8000 + take(&mut peer, number(11), 8000);
        peer.connection.release_capacity(last, 8000, &mut peer.out);
        for frame in peer.sent().iter().filter(|frame| frame.kind == WINDOW_UPDATE && frame.stream == 0) {
            left += u32::from_be_bytes(frame.payload[..].try_into().unwrap());
        }
    }
}

#[test]
fn time_gives_tokens_back() {
    let mut peer = Peer::server();
    let ended = attack(&mut peer, |round, peer| {
        close_all(peer);
        peer.now += Duration::from_secs(1);
        [get(number(round)), reset(number(round))].concat()
    });
    assert_eq!(ended, None);
}

#[test]
fn numbers_run_out_in_peace() {
    let mut peer = Peer::server();
    let last = (1 << 30) + 1;
    assert_eq!(peer.accept(&get(last)).len(), 1);
    let sent = peer.sent_kinds();
    assert_eq!(sent, [GOAWAY, PING]);
    assert_eq!(peer.accept(&get(last + 2)).len(), 1);
}

#[test]
fn an_idle_connection_holds_little() {
    let mut peer = Peer::server();
    let mut block = block(GET);
    for at in 0..12 {
        block.extend([0x40, 6]);
        block.extend(format!("x-{at:04}").bytes());
        block.push(20);
        block.extend([b'v'; 20]);
    }
    peer.accept(&frame(HEADERS, WHOLE, 1, &block));
    let key = peer.last();
    peer.answer(key);
    peer.connection.shrink();
    let held = peer.connection.held();
    assert_eq!((held.slots, held.heads, held.unread, held.block), (0, 0, 0, 0));
    let fields = 12 * (6 + 20 + 8);
    assert!(
        size_of::<Connection>() + held.table <= 900 + fields,
        "{} {}",
        size_of::<Connection>(),
        held.table
    );
}
