//! Frames of HTTP/2: one outcome however the bytes are cut, memory within its bounds, and output that is frames.

use std::time::Instant;

use smolgate::http::HeadLimits;
use smolgate::http2::{
    BLOCK_BYTES_MAX, Connection, Event, HELD_HEAD_BYTES_MAX, Limits, OUTPUT_BYTES_MAX, PAYLOAD_BYTES_MAX,
    PREFACE, RequestKind, UNREAD_WINDOW_BYTES_MAX, WindowBudget, Workspace,
};

use crate::cuts;

pub(crate) const LIMITS: Limits =
    Limits { streams: 8, head: HeadLimits { bytes: 4096, fields: 16, target: 256 }, extended_connect: true };

/// SETTINGS without settings.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Checks the bytes as those of a client and as those of a server. Neither preface nor SETTINGS have to be found.
pub fn holds(bytes: &[u8]) {
    for is_server in [true, false] {
        let whole = Run::of(is_server, bytes, &[bytes.len()]);
        let cut = Run::of(is_server, bytes, &cuts::ends(bytes));
        assert_eq!(whole, cut, "another outcome in pieces");
    }
}

/// The outcome of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
struct Run {
    /// Events other than data, and the data of each stream at its place among them.
    events: Vec<String>,
    error: Option<String>,
    out: Vec<u8>,
}

impl Run {
    fn of(is_server: bool, bytes: &[u8], ends: &[usize]) -> Run {
        let (now, budget, mut run) = (Instant::now(), WindowBudget::new(1 << 20), Run::default());
        let make = if is_server { Connection::server } else { Connection::client };
        let mut connection = make(&LIMITS, &budget, now, &mut run.out);
        if !is_server {
            // A GET, by indexes alone.
            connection
                .open(&[0x82, 0x86, 0x84], RequestKind::Plain, true, &mut run.out)
                .expect("the first stream");
        }
        let start = if is_server { [PREFACE, SETTINGS].concat() } else { SETTINGS.to_vec() };
        let bytes = [&start, bytes].concat();
        let (mut workspace, mut used) = (Workspace::default(), 0);
        for end in ends.iter().map(|end| start.len() + end) {
            loop {
                match connection.receive(&bytes[used..end], now, &mut workspace, &mut run.out) {
                    Ok(None) => break,
                    Ok(Some(received)) => {
                        run.add(&received.event, &bytes[used..end], workspace.head());
                        used += received.bytes;
                    }
                    Err(error) => {
                        run.error = Some(error.to_string());
                        return run.checked();
                    }
                }
                let held = connection.held();
                assert!(held.streams <= LIMITS.streams as usize && held.heads <= HELD_HEAD_BYTES_MAX);
                assert!(held.unread <= UNREAD_WINDOW_BYTES_MAX as usize && held.block <= 2 * BLOCK_BYTES_MAX);
                assert!(held.table <= 8192 && run.out.len() <= OUTPUT_BYTES_MAX + 128);
            }
        }
        run.checked()
    }

    /// Adds an event. Data that follow data of their stream continue them.
    fn add(&mut self, event: &Event, bytes: &[u8], head: &[u8]) {
        let told = match event {
            Event::Handled => return,
            Event::Data { stream, data, ended } => {
                let start = format!("data {} ", stream.id());
                let data =
                    format!("{}{}", bytes[data.clone()].escape_ascii(), if *ended { " ended" } else { "" });
                match self
                    .events
                    .last_mut()
                    .filter(|last| last.starts_with(&start) && !last.ends_with(" ended"))
                {
                    Some(last) => return last.push_str(&data),
                    None => start + &data,
                }
            }
            Event::Head { .. } | Event::Trailers { .. } => format!("{event:?} {}", head.escape_ascii()),
            _ => format!("{event:?}"),
        };
        self.events.push(told);
    }

    /// Checks that the output consists of whole frames.
    fn checked(self) -> Run {
        let mut out = self.out.strip_prefix(PREFACE).unwrap_or(&self.out);
        while let Some(([l0, l1, l2, ..], rest)) = out.split_first_chunk::<9>() {
            let length = u32::from_be_bytes([0, *l0, *l1, *l2]) as usize;
            assert!(length <= PAYLOAD_BYTES_MAX);
            out = rest.get(length..).expect("a whole frame");
        }
        assert!(out.is_empty(), "a part of a frame");
        self
    }
}

/// Frames of every type, whole and broken.
pub fn seeds() -> Vec<Vec<u8>> {
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let get = b"\x82\x86\x84\x41\x06a.test";
    vec![
        frame(1, 5, 1, get),
        [frame(1, 4, 1, get), frame(0, 0, 1, b"abc"), frame(0, 9, 1, b"\x02abc\0\0")].concat(),
        [frame(1, 1, 1, get), frame(9, 0, 1, b"\x40\x01x"), frame(9, 4, 1, b"\x01y")].concat(),
        [frame(1, 4, 1, get), frame(1, 5, 1, b"\x00\x01x\x01y")].concat(),
        [frame(1, 5, 1, get), frame(3, 0, 1, &[0, 0, 0, 8]), frame(0, 0, 1, b"late")].concat(),
        [frame(4, 0, 0, &[0, 4, 0, 0, 0, 9]), frame(4, 1, 0, &[]), frame(6, 0, 0, &[7; 8])].concat(),
        [frame(1, 5, 1, get), frame(8, 0, 1, &[0, 0, 1, 0]), frame(8, 0, 0, &[0, 0, 1, 0])].concat(),
        [frame(2, 0, 1, &[0, 0, 0, 9, 1]), frame(16, 0, 0, b"\0\0\0\x01u=1"), frame(7, 0, 0, &[0; 8])]
            .concat(),
        // Responses for the client.
        [frame(1, 4, 1, b"\x08\x03103"), frame(1, 4, 1, b"\x88"), frame(0, 1, 1, b"body")].concat(),
        [frame(1, 4, 1, b"\x88\x5c\x014"), frame(0, 0, 1, b"bo"), frame(1, 5, 1, b"\x00\x01x\x01y")].concat(),
        frame(5, 4, 1, &[0, 0, 0, 2]),
        frame(0, 0, 1, b"idle"),
        vec![0, 255, 255, 0, 0, 0, 0, 0, 1],
    ]
}
