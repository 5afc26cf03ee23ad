//! Pipes: bytes that move inside the kernel arrive unchanged, and no pipe carries bytes to the next
//! connection.

use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use futures_lite::AsyncReadExt;
use rustix::pipe::fcntl_getpipe_size;

use super::{on_worker, pair, pattern};
use crate::worker::{Pipe, TcpStream, Worker};

async fn fill(pipe: &mut Pipe, from: &TcpStream, most: usize) -> io::Result<usize> {
    poll_fn(|cx| pipe.poll_fill(from, most, cx)).await
}

/// Moves all bytes from `from` to `to`, and then passes on the end.
async fn forward(worker: &Worker, from: &TcpStream, to: &TcpStream) -> usize {
    let mut pipe = worker.pipe().unwrap();
    let mut moved = 0;
    loop {
        let bytes = fill(&mut pipe, from, usize::MAX).await.unwrap();
        if bytes == 0 {
            to.shutdown_write().unwrap();
            return moved;
        }
        moved += bytes;
        while pipe.drain_into(to).await.unwrap() > 0 {}
    }
}

#[test]
fn a_large_transfer_arrives_whole() {
    on_worker(|worker| async move {
        let ((from, mut client), (to, mut server)) = (pair(&worker), pair(&worker));
        let sent = pattern(50_000_000);
        let sending = {
            let sent = sent.clone();
            std::thread::spawn(move || {
                client.write_all(&sent).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            })
        };
        let receiving = std::thread::spawn(move || {
            let mut seen = Vec::new();
            server.read_to_end(&mut seen).unwrap();
            seen
        });
        assert_eq!(forward(&worker, &from, &to).await, sent.len());
        assert!(receiving.join().unwrap() == sent);
        sending.join().unwrap();
    });
}

#[test]
fn both_ways_at_once_with_a_peer_that_echoes() {
    on_worker(|worker| async move {
        let ((client_side, mut client), (server_side, server)) = (pair(&worker), pair(&worker));
        let echo = std::thread::spawn(move || {
            let (mut reading, mut writing) = (&server, &server);
            std::io::copy(&mut reading, &mut writing).unwrap();
            server.shutdown(Shutdown::Write).unwrap();
        });
        let sent = pattern(20_000_000);
        let sending = {
            let (sent, mut client) = (sent.clone(), client.try_clone().unwrap());
            std::thread::spawn(move || {
                client.write_all(&sent).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            })
        };
        let receiving = std::thread::spawn(move || {
            let mut seen = Vec::new();
            client.read_to_end(&mut seen).unwrap();
            seen
        });
        let up = forward(&worker, &client_side, &server_side);
        let down = forward(&worker, &server_side, &client_side);
        assert_eq!(futures_lite::future::zip(up, down).await, (sent.len(), sent.len()));
        assert!(receiving.join().unwrap() == sent);
        sending.join().unwrap();
        echo.join().unwrap();
    });
}

/// A body ends where its length says. The bytes behind it are left to the reads.
#[test]
fn a_pipe_takes_no_more_than_it_is_told() {
    on_worker(|worker| async move {
        let ((mut from, mut client), (to, mut server)) = (pair(&worker), pair(&worker));
        client.write_all(b"the body, the next head").unwrap();
        let mut pipe = worker.pipe().unwrap();
        let mut left = 9;
        while left > 0 {
            left -= fill(&mut pipe, &from, left).await.unwrap();
            while pipe.drain_into(&to).await.unwrap() > 0 {}
        }
        let mut bytes = [0; 9];
        server.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"the body,");
        let mut rest = [0; 14];
        from.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b" the next head");
    });
}

#[test]
fn a_spliced_connection_is_quiet_when_all_was_taken() {
    on_worker(|worker| async move {
        let ((from, mut client), (to, _server)) = (pair(&worker), pair(&worker));
        client.write_all(b"the body").unwrap();
        let mut pipe = worker.pipe().unwrap();
        assert_eq!(fill(&mut pipe, &from, 8).await.unwrap(), 8);
        assert_eq!(pipe.drain_into(&to).await.unwrap(), 0);
        assert!(!from.has_pending_event(), "it can be used again");
        client.write_all(b"x").unwrap();
        from.readable().await;
        assert!(from.has_pending_event());
    });
}

#[test]
fn filling_without_waiting_takes_what_is_there() {
    on_worker(|worker| async move {
        let (from, mut client) = pair(&worker);
        let mut pipe = worker.pipe().unwrap();
        assert_eq!(pipe.try_fill_from(&from, 100).unwrap_err().kind(), ErrorKind::WouldBlock);
        client.write_all(b"some").unwrap();
        from.readable().await;
        assert_eq!(pipe.try_fill_from(&from, 100).unwrap(), 4);
        assert_eq!(pipe.try_fill_from(&from, 100).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(!from.has_pending_event(), "a fill that finds nothing says so");
        drop(client);
        from.readable().await;
        assert_eq!(pipe.try_fill_from(&from, 100).unwrap(), 0);
    });
}

/// If the pipe were reused, the second connection would get the first one's bytes.
#[test]
fn a_pipe_with_bytes_left_is_not_used_again() {
    on_worker(|worker| async move {
        for _ in 0..3 {
            let (from, mut client) = pair(&worker);
            client.write_all(b"secret").unwrap();
            let mut pipe = worker.pipe().unwrap();
            fill(&mut pipe, &from, 100).await.unwrap();
            drop(pipe);
        }
        let ((from, mut client), (to, mut server)) = (pair(&worker), pair(&worker));
        client.write_all(b"public").unwrap();
        let mut pipe = worker.pipe().unwrap();
        fill(&mut pipe, &from, 100).await.unwrap();
        while pipe.drain_into(&to).await.unwrap() > 0 {}
        let mut bytes = [0; 6];
        server.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"public");
    });
}

#[test]
fn an_empty_pipe_is_used_again() {
    on_worker(|worker| async move {
        let kept = || worker.inner.pipes.free.len();
        assert_eq!(kept(), 0);
        drop(worker.pipe().unwrap());
        assert_eq!(kept(), 1);
        let (first, second) = (worker.pipe().unwrap(), worker.pipe().unwrap());
        assert_eq!(kept(), 0);
        drop((first, second));
        assert_eq!(kept(), 2);
        let many: Vec<_> = (0..100).map(|_| worker.pipe().unwrap()).collect();
        drop(many);
        assert_eq!(kept(), 32, "and there is an end to it");
    });
}

/// The user's other programs need some of the user's limit for pipes.
#[test]
fn the_first_pipes_are_large() {
    let usual = fcntl_getpipe_size(std::io::pipe().unwrap().0).unwrap();
    on_worker(move |worker| async move {
        let pipes: Vec<_> = (0..33).map(|_| worker.pipe().unwrap()).collect();
        let hold = |at: usize| fcntl_getpipe_size(&pipes[at].ends.as_ref().unwrap().0).unwrap();
        // The default is 64 KiB where pages have 4 KiB.
        let large = usual.max(256 * 1024);
        assert_eq!([hold(0), hold(31), hold(32)], [large, large, usual]);
    });
}

#[test]
fn a_sink_that_is_gone_is_an_error() {
    on_worker(|worker| async move {
        let ((from, mut client), (to, server)) = (pair(&worker), pair(&worker));
        drop(server);
        let mut pipe = worker.pipe().unwrap();
        let error = loop {
            client.write_all(b"more").unwrap();
            fill(&mut pipe, &from, 100).await.unwrap();
            if let Err(error) = pipe.drain_into(&to).await {
                break error;
            }
        };
        assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset));
    });
}

/// `splice` stops in front of an urgent byte and finds nothing there, however often it is called (`tcp(7)`).
/// The byte itself is not part of the stream.
#[test]
fn an_urgent_byte_does_not_stop_a_transfer() {
    for before in [0, 1, 5_000] {
        for after in [0, 1, 5_000] {
            on_worker(move |worker| async move {
                let ((from, client), (to, mut server)) = (pair(&worker), pair(&worker));
                let (first, rest) = (pattern(before), pattern(after));
                let sent = [first.clone(), rest.clone()].concat();
                let sending = std::thread::spawn(move || {
                    let socket = socket2::SockRef::from(&client);
                    (&client).write_all(&first).unwrap();
                    assert_eq!(socket.send_out_of_band(b"!").unwrap(), 1);
                    (&client).write_all(&rest).unwrap();
                    client.shutdown(Shutdown::Write).unwrap();
                    client
                });
                let receiving = std::thread::spawn(move || {
                    let mut seen = Vec::new();
                    server.read_to_end(&mut seen).unwrap();
                    seen
                });
                assert_eq!(forward(&worker, &from, &to).await, sent.len());
                assert!(receiving.join().unwrap() == sent);
                drop(sending.join().unwrap());
            });
        }
    }
}

/// An urgent byte comes without an end behind it, which the kernel would report again.
#[test]
fn an_urgent_byte_does_not_hide_what_comes_later() {
    on_worker(|worker| async move {
        let ((from, client), (to, mut server)) = (pair(&worker), pair(&worker));
        let mut pipe = worker.pipe().unwrap();
        for _ in 0..100 {
            (&client).write_all(b"before").unwrap();
            assert_eq!(socket2::SockRef::from(&client).send_out_of_band(b"!").unwrap(), 1);
            (&client).write_all(b"after").unwrap();
            let mut left = 11;
            while left > 0 {
                left -= fill(&mut pipe, &from, 100).await.unwrap();
                while pipe.drain_into(&to).await.unwrap() > 0 {}
            }
            let mut bytes = [0; 11];
            server.read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"beforeafter");
        }
    });
}
