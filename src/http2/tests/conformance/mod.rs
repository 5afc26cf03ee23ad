//! A row for every rule of RFC 9113 that a peer can break, and for what an endpoint must accept. RFC 7541 is in
//! `tests/hpack.rs`.

use super::peer::*;
use crate::http2::ErrorCode;

mod connection;
mod messages;
mod streams;

/// The engine that a row tests.
#[derive(Clone, Copy, Debug)]
enum Engine {
    /// A server that has received nothing.
    Fresh,
    /// A server after the exchange of SETTINGS.
    Server,
    /// A client that has received nothing.
    FreshClient,
    /// A client that has sent a GET on stream 1.
    Client,
    /// The same with HEAD.
    ClientHead,
}

/// The outcome that a row wants.
#[derive(Clone, Debug)]
enum Want {
    /// The connection ends with this code.
    Connection(ErrorCode),
    /// This stream ends with this code.
    Stream(u32, ErrorCode),
    /// Nothing ends. The text is that of the last event.
    Last(&'static str),
}

use Engine::{Client, ClientHead, Fresh, FreshClient, Server};
use ErrorCode::{
    CompressionError, EnhanceYourCalm, FlowControlError, FrameSizeError, ProtocolError, RefusedStream,
    StreamClosed,
};
use Want::{Connection, Last, Stream};

/// A row: the rule, the engine, the bytes that it receives, and the outcome.
type Row = (&'static str, Engine, fn() -> Vec<Vec<u8>>, Want);

/// Runs the rows.
fn check(rows: &[Row]) {
    for &(rule, engine, frames, ref want) in rows {
        let mut peer = match engine {
            Fresh => Peer::fresh(&LIMITS),
            Server => Peer::server(),
            FreshClient => Peer::fresh_client(),
            Client => Peer::client(false),
            ClientHead => Peer::client(true),
        };
        let outcome = peer.feed(&frames().concat());
        match (outcome, want) {
            (Err(error), Connection(code)) => assert_eq!(error.code, *code, "{rule}: {error}"),
            (Ok(events), Stream(id, code)) => {
                let told = format!("fault {id} {}", code.label());
                assert!(events.contains(&told), "{rule}: {events:?}");
                let reset = peer.sent().into_iter().rfind(|frame| frame.kind == RST_STREAM).unwrap();
                assert_eq!(
                    (reset.stream, reset.payload),
                    (*id, code.number().to_be_bytes().to_vec()),
                    "{rule}"
                );
            }
            (Ok(events), Last(text)) => {
                assert_eq!(events.last().map_or("", |event| event), *text, "{rule}: {events:?}");
                assert!(peer.sent().iter().all(|frame| frame.kind != RST_STREAM), "{rule}");
            }
            (outcome, want) => panic!("{rule}: {outcome:?} instead of {want:?}"),
        }
    }
}

/// A SETTINGS frame without settings.
fn settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[])
}

/// The form of a plain GET on this stream.
const GOT: &str = "head 1 end GET / HTTP/1.1|host: a.test||";
