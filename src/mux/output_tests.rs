//! The order in which responses are written, judged by the frames.

use std::time::Duration;

use super::*;
use crate::http::HeadLimits;
use crate::http2::{FRAME_HEAD_BYTES, Limits, PREFACE, WindowBudget};
use crate::mux::space::Memory;
use crate::worker::{self, Worker};

const LIMITS: Limits = Limits {
    streams: 100,
    head: HeadLimits { bytes: 64 * 1024, fields: 128, target: 8 * 1024 },
    extended_connect: false,
};

/// A frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A GET with a value of `priority`, if there is one.
fn get(stream: u32, priority: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x84, 0x86, 0x41, 1, b'a'];
    if !priority.is_empty() {
        block.extend([&[0, 8][..], b"priority", &[priority.len() as u8], priority.as_bytes()].concat());
    }
    frame(1, 5, stream, &block)
}

/// The state of a server that has received these frames behind the preface, with a response of 40,000 bytes on each of
/// `streams`, in this order.
fn with_responses(worker: &Worker, frames: &[Vec<u8>], streams: &[u32]) -> State {
    let (now, mut memory, mut out) = (worker.now(), Memory::default(), Vec::new());
    let engine = Connection::server(&LIMITS, &WindowBudget::new(0), now, &mut out);
    let mut state = State::new(engine, Vec::new());
    let settings = frame(4, 0, 0, &[0, 4, 0, 16, 0, 0]);
    let window = frame(8, 0, 0, &[0, 16, 0, 0]);
    let bytes = [PREFACE, &settings, &window, &frames.concat()].concat();
    let mut taken = 0;
    while let Some(received) =
        state.engine.receive(&bytes[taken..], now, &mut memory.workspace, &mut out).unwrap()
    {
        state.apply(received.event, &bytes[taken..], &memory, worker);
        taken += received.bytes;
    }
    assert_eq!(taken, bytes.len());
    for stream in streams {
        let of_stream = |slot: &Slot| slot.key.is_some_and(|key| key.id() == *stream);
        let index = state.slots.iter().position(of_stream).unwrap();
        let slot = &mut state.slots[index];
        (slot.is_answered, slot.is_complete) = (true, true);
        slot.put(&[b'x'; 40_000], worker);
        state.queue(index);
    }
    state
}

/// The streams of the DATA frames in the order in which they are written, each as often as it has frames behind each
/// other.
fn order(frames: &[Vec<u8>], streams: &[u32]) -> Vec<(u32, usize)> {
    let (frames, streams) = (frames.to_vec(), streams.to_vec());
    let ended = worker::run(|worker| async move {
        let mut state = with_responses(&worker, &frames, &streams);
        let mut order: Vec<(u32, usize)> = Vec::new();
        loop {
            state.fill_output(worker.now() + Duration::from_secs(1));
            if state.output.is_empty() {
                return order;
            }
            let mut rest = &state.output[..];
            while let Some((head, behind)) = rest.split_first_chunk::<FRAME_HEAD_BYTES>() {
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                match order.last_mut() {
                    _ if head[3] != 0 => {}
                    Some((last, count)) if *last == stream => *count += 1,
                    _ => order.push((stream, 1)),
                }
                rest = &behind[length..];
            }
        }
    });
    ended.unwrap()
}

#[test]
fn responses_without_a_priority_take_turns() {
    let order = order(&[get(1, ""), get(3, "")], &[3, 1]);
    assert_eq!(order, [(3, 1), (1, 1), (3, 1), (1, 1), (3, 1), (1, 1)]);
}

#[test]
fn urgent_responses_come_first_and_whole_ones_one_after_the_other() {
    let frames =
        [get(1, "u=5"), get(3, "u=1"), get(5, "u=1"), get(7, "u=1, i"), get(9, "u=1, i"), get(11, "")];
    let order = order(&frames, &[1, 11, 9, 7, 5, 3]);
    let turns = [(9, 1), (7, 1), (9, 1), (7, 1), (9, 1), (7, 1)];
    assert_eq!(order, [&[(3, 3), (5, 3)][..], &turns, &[(11, 3), (1, 3)]].concat());
}

#[test]
fn an_update_moves_a_response() {
    let update =
        |stream: u32, value: &str| frame(16, 0, 0, &[&stream.to_be_bytes()[..], value.as_bytes()].concat());
    let frames = [get(1, "u=0"), get(3, ""), update(1, "u=7"), update(3, "u=6")];
    assert_eq!(order(&frames, &[1, 3]), [(3, 3), (1, 3)]);
}

#[test]
fn little_waits_for_a_window_that_is_shut() {
    let ended = worker::run(|worker| async move {
        let mut state = with_responses(&worker, &[get(1, ""), get(3, "")], &[1]);
        let index = |state: &State, id: u32| {
            state.slots.iter().position(|slot| slot.key.is_some_and(|key| key.id() == id)).unwrap()
        };
        let other = index(&state, 3);
        assert_eq!(state.output_bytes_max(other), OUTPUT_BYTES_MAX);
        // The window of a stream is used up, and then that of the connection.
        let used = index(&state, 1);
        assert_eq!(state.output_bytes_max(used), OUTPUT_BYTES_MAX);
        for shut in [other, used] {
            let key = state.slots[shut].key.unwrap();
            while state.engine.send_data(key, usize::MAX, false).is_some() {}
            assert_eq!(state.output_bytes_max(shut), OUTPUT_BYTES_MIN);
        }
    });
    ended.unwrap();
}
