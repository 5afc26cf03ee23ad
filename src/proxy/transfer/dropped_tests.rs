//! Transfers that are dropped at each of their awaits: the next message on the connection is still read correctly.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream as Peer};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use socket2::SockRef;

use super::{Body, Incoming, Transfer};
use crate::http::Framing;
use crate::metrics::Counter;
use crate::mux::Transport;
use crate::proxy::record::Meter;
use crate::tls::{Input, Stream};
use crate::worker::{self, TcpStream, Worker};

const TIMEOUT: Duration = Duration::from_secs(10);

/// The bytes behind the body on the connection.
const NEXT: &[u8] = b"the next message";

/// Polls `future` until it is done or was pending `times` times. Between two polls `sink` reads a little, so that the
/// future can go on. Returns whether it is done.
async fn until_pending<F: Future>(future: F, sink: &mut Peer, times: usize) -> bool {
    let mut future = pin!(future);
    let (mut pending, mut piece) = (0, [0; 12_345]);
    poll_fn(|cx| {
        if future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        if pending == times {
            return Poll::Ready(false);
        }
        // A read without bytes does not count, because they may still be on their way.
        pending += usize::from(sink.read(&mut piece).is_ok());
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// A connection, and its other end. A narrow connection has small buffers, so that writes wait often.
fn pair(worker: &Worker, narrow: bool) -> (Transport, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    if narrow {
        SockRef::from(&listener).set_recv_buffer_size(4096).unwrap();
    }
    let peer = Peer::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    if narrow {
        SockRef::from(&ours).set_send_buffer_size(4096).unwrap();
    }
    (Stream::Plain(TcpStream::new(worker, ours).unwrap()), peer)
}

/// Sends a body and the next message to a transfer that is dropped after it was pending `times` times, and reads on
/// where it stopped. Returns whether the transfer came to its end.
async fn drop_a_transfer(worker: &Worker, framing: Framing, wire: &[u8], times: usize) -> bool {
    let ((from, mut source), (to, mut sink)) = (pair(worker, false), pair(worker, true));
    let bytes = [wire, NEXT].concat();
    let sending = std::thread::spawn(move || source.write_all(&bytes).map(|()| source));
    sink.set_nonblocking(true).unwrap();
    let (mut input, mut body, timer, total) =
        (Input::default(), Body::new(framing, 0), worker.timer(), Counter::default());
    let meter = Meter::new(&total, worker.moment());
    let mut transfer = Transfer {
        worker,
        from: Incoming { stream: &from, input: &mut input, body: &mut body },
        to: &to,
        timer: &timer,
        timeout: TIMEOUT,
        chunked: framing == Framing::Chunked,
        trailers: true,
        most: u64::MAX,
        pace: None,
        meter: &meter,
        counts_reads: true,
        end_follows: false,
        begun: Cell::default(),
    };
    let mut head = worker.buffer();
    head.extend(b"head");
    let done = until_pending(transfer.run(head), &mut sink, times).await;
    let read = meter.bytes();
    let mut rest = Incoming { stream: &from, input: &mut input, body: &mut body };
    let discarded = timer.within(TIMEOUT, rest.discard()).await;
    assert!(matches!(discarded, Ok(true)), "{framing:?}, {times}: {discarded:?}");
    assert!(
        read <= wire.len() as u64 && (!done || read == wire.len() as u64),
        "{framing:?}, {times}: {read}"
    );
    while input.unread().len() < NEXT.len() {
        assert_ne!(timer.within(TIMEOUT, input.fill(&from, usize::MAX)).await.unwrap(), 0);
    }
    assert_eq!(input.unread(), NEXT, "{framing:?}, {times}");
    drop((to, from));
    smol::unblock(move || sending.join().unwrap()).await.unwrap();
    done
}

#[test]
fn a_transfer_dropped_at_any_await_has_accounted_for_all_it_read() {
    let long = vec![b'x'; 400_000];
    let short = vec![b'x'; 120_000];
    let mut chunks = Vec::new();
    for piece in short.chunks(777) {
        chunks.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        chunks.extend([piece, b"\r\n"].concat());
    }
    chunks.extend(b"0\r\nTrailer: yes\r\n\r\n");
    let ended = worker::run(|worker| async move {
        for (framing, wire) in [
            (Framing::Length(long.len() as u64), &long),
            (Framing::Length(short.len() as u64), &short),
            (Framing::Chunked, &chunks),
        ] {
            let mut dropped = 0;
            for times in 0..60 {
                if drop_a_transfer(&worker, framing, wire, times).await {
                    break;
                }
                dropped += 1;
            }
            assert!(dropped > 3, "{framing:?} hardly ever waits");
        }
    });
    ended.unwrap();
}
