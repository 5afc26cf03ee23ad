//! Frames to send, appended to a buffer.

use super::super::error::ErrorCode;
use super::kind::{ACK, END_HEADERS, END_STREAM, FRAME_HEAD_BYTES, PAYLOAD_BYTES_MAX};

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;

/// The head of a frame with at most [`PAYLOAD_BYTES_MAX`] bytes.
fn frame_head(length: usize, kind: u8, flags: u8, stream: u32) -> [u8; FRAME_HEAD_BYTES] {
    let [_, l0, l1, l2] = (length as u32).to_be_bytes();
    let [s0, s1, s2, s3] = stream.to_be_bytes();
    [l0, l1, l2, kind, flags, s0, s1, s2, s3]
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&frame_head(payload.len(), kind, flags, stream));
    out.extend_from_slice(payload);
}

/// The head of a DATA frame. The data follow it.
pub(crate) fn data_head(stream: u32, length: usize, ends: bool) -> [u8; FRAME_HEAD_BYTES] {
    frame_head(length, DATA, if ends { END_STREAM } else { 0 }, stream)
}

/// Writes a block as HEADERS and, if it is long, CONTINUATION frames. `prefix` stands before the block.
pub(crate) fn headers(out: &mut Vec<u8>, stream: u32, prefix: &[u8], block: &[u8], ends: bool) {
    let first = block.len().min(PAYLOAD_BYTES_MAX - prefix.len());
    let (first, mut rest) = block.split_at(first);
    let end_headers = |rest: &[u8]| if rest.is_empty() { END_HEADERS } else { 0 };
    let flags = end_headers(rest) | if ends { END_STREAM } else { 0 };
    out.extend_from_slice(&frame_head(prefix.len() + first.len(), HEADERS, flags, stream));
    out.extend_from_slice(prefix);
    out.extend_from_slice(first);
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.len().min(PAYLOAD_BYTES_MAX));
        frame(out, CONTINUATION, end_headers(behind), stream, piece);
        rest = behind;
    }
}

pub(crate) fn reset_stream(out: &mut Vec<u8>, stream: u32, code: ErrorCode) {
    frame(out, RST_STREAM, 0, stream, &code.number().to_be_bytes());
}

/// Writes SETTINGS, each as six bytes.
pub(crate) fn settings(out: &mut Vec<u8>, settings: &[[u8; 6]]) {
    frame(out, SETTINGS, 0, 0, settings.as_flattened());
}

pub(crate) fn settings_ack(out: &mut Vec<u8>) {
    frame(out, SETTINGS, ACK, 0, &[]);
}

pub(crate) fn ping(out: &mut Vec<u8>, payload: &[u8; 8], is_ack: bool) {
    frame(out, PING, if is_ack { ACK } else { 0 }, 0, payload);
}

pub(crate) fn go_away(out: &mut Vec<u8>, last: u32, code: ErrorCode, detail: &str) {
    out.extend_from_slice(&frame_head(8 + detail.len(), GOAWAY, 0, 0));
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&code.number().to_be_bytes());
    out.extend_from_slice(detail.as_bytes());
}

pub(crate) fn window_update(out: &mut Vec<u8>, stream: u32, increment: u32) {
    frame(out, WINDOW_UPDATE, 0, stream, &increment.to_be_bytes());
}
