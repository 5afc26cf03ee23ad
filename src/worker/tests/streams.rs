//! Connections: opened, refused, read, written, in both directions at once.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::task::Poll;

use futures_lite::future::zip;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use socket2::SockRef;

use super::{on_worker, pair, pattern};
use crate::config::plan::Bind;
use crate::worker::{Listener, TcpStream, Worker, listen};

fn listener(worker: &Worker) -> (Listener, SocketAddr) {
    let socket = listen(Bind::Address(SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap();
    let address = socket.local_addr().unwrap();
    (Listener::new(worker, socket).unwrap(), address)
}

fn never_an_error(error: crate::worker::AcceptError) {
    panic!("accepting failed: {error:?}");
}

#[test]
fn both_sides_of_a_connection_on_one_worker() {
    on_worker(|worker| async move {
        let (listener, address) = listener(&worker);
        let (accepted, connected) =
            zip(listener.accept(never_an_error), TcpStream::connect(&worker, address)).await;
        let ((mut server, peer), mut client) = (accepted, connected.unwrap());
        assert_eq!(client.peer_address().unwrap(), address);
        assert_eq!(client.local_address().unwrap(), peer);
        assert_eq!(server.local_address().unwrap(), address);
        assert!(
            SockRef::from(&server).tcp_nodelay().unwrap() && SockRef::from(&client).tcp_nodelay().unwrap()
        );
        let mut bytes = [0; 5];
        client.write_all(b"hello").await.unwrap();
        server.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"hello");
        server.write_all(b"there").await.unwrap();
        client.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"there");
    });
}

#[test]
fn a_refused_connection_is_an_error() {
    on_worker(|worker| async move {
        // The socket is bound and does not listen, so no other program can get the port or answer on it.
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        for _ in 0..100 {
            let error = TcpStream::connect(&worker, address).await.map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        }
    });
}

#[test]
fn a_connection_given_up_is_closed() {
    on_worker(|worker| async move {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        // Poll the attempt once, which sends the first packet, and drop it.
        let attempt = TcpStream::connect(&worker, address);
        let polled = futures_lite::future::poll_once(attempt).await;
        assert!(polled.is_none(), "the kernel has not been asked yet");
        let (mut peer, _) = socket.accept().unwrap();
        assert!(matches!(peer.read(&mut [0]), Ok(0) | Err(_)));
    });
}

#[test]
fn slices_are_written_in_one_call_and_in_order() {
    on_worker(|worker| async move {
        let (ours, mut peer) = pair(&worker);
        let slices = [b"head ".as_slice(), b"", b"body ", b"end"].map(IoSlice::new);
        let written = poll_fn(|cx| ours.poll_write_vectored(cx, &slices)).await.unwrap();
        assert_eq!(written, 13);
        let mut bytes = [0; 13];
        peer.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"head body end");
    });
}

/// A writer stops while the peer does not read, and goes on when it does. All accepted bytes arrive.
#[test]
fn a_writer_waits_for_room() {
    on_worker(|worker| async move {
        let (ours, mut peer) = pair(&worker);
        let ours = Rc::new(ours);
        let (sent, written) = (pattern(30_000_000), Rc::new(Cell::new(0)));
        let writing = {
            let (ours, sent, written) = (ours.clone(), sent.clone(), written.clone());
            worker.spawn(async move {
                while written.get() < sent.len() {
                    written.set(written.get() + (&*ours).write(&sent[written.get()..]).await.unwrap());
                }
                ours.shutdown_write().unwrap();
            })
        };
        // The peer reads nothing until the writer has found that there is no room.
        while ours.source().write.is_ready() {
            worker.yield_now().await;
        }
        assert!(written.get() > 0 && written.get() < sent.len());
        let reading = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            peer.read_to_end(&mut bytes).unwrap();
            bytes
        });
        writing.await;
        assert!(reading.join().unwrap() == sent);
    });
}

/// One task reads while it writes, as a proxy does, and the peer echoes. Neither direction can finish before
/// the other, because together they hold more than all buffers between them.
#[test]
fn one_task_moves_bytes_both_ways_at_once() {
    on_worker(|worker| async move {
        let (ours, peer) = pair(&worker);
        let echo = std::thread::spawn(move || {
            let (mut reading, mut writing) = (&peer, &peer);
            std::io::copy(&mut reading, &mut writing).unwrap();
        });
        let sent = pattern(30_000_000);
        let (mut written, mut seen, mut bytes) = (0, Vec::<u8>::new(), vec![0; 50_000]);
        poll_fn(|cx| {
            while written < sent.len() {
                let slices = [IoSlice::new(&sent[written..])];
                let Poll::Ready(count) = ours.poll_write_vectored(cx, &slices) else { break };
                written += count.unwrap();
                if written == sent.len() {
                    ours.shutdown_write().unwrap();
                }
            }
            loop {
                match ours.poll_read(cx, &mut bytes) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(0)) => return Poll::Ready(()),
                    Poll::Ready(count) => seen.extend(&bytes[..count.unwrap()]),
                }
            }
        })
        .await;
        assert!(seen == sent);
        echo.join().unwrap();
    });
}

/// Two tasks use one connection, one per direction, as in a tunnel. Neither takes the other's wake.
#[test]
fn two_tasks_share_a_connection_one_each_way() {
    on_worker(|worker| async move {
        let (ours, mut peer) = pair(&worker);
        let (ours, sent) = (Rc::new(ours), pattern(10_000_000));
        let answering = {
            let sent = sent.clone();
            std::thread::spawn(move || {
                // Write everything, then read everything: the other side's reader waits while the writer is
                // busy.
                let mut seen = vec![0; sent.len()];
                peer.read_exact(&mut seen).unwrap();
                assert!(seen == sent);
                peer.write_all(&seen).unwrap();
            })
        };
        let reading = {
            let ours = ours.clone();
            worker.spawn(async move {
                let mut seen = Vec::new();
                (&*ours).read_to_end(&mut seen).await.unwrap();
                seen
            })
        };
        let writing = {
            let sent = sent.clone();
            worker.spawn(async move { (&*ours).write_all(&sent).await.unwrap() })
        };
        writing.await;
        assert!(reading.await == sent);
        answering.join().unwrap();
    });
}

/// More bytes than the sockets hold, in several pieces, so that the last write is one of many.
#[test]
fn last_bytes_arrive_with_the_end() {
    on_worker(|worker| async move {
        let (ours, mut peer) = pair(&worker);
        let sent = pattern(10_000_000);
        let reading = std::thread::spawn(move || {
            let mut seen = Vec::new();
            peer.read_to_end(&mut seen).unwrap();
            seen
        });
        let (first, second) = sent.split_at(sent.len() / 3);
        let mut slices = [IoSlice::new(first), IoSlice::new(second)];
        let mut left = &mut slices[..];
        while !left.is_empty() {
            let written = poll_fn(|cx| ours.poll_write_last(cx, left)).await.unwrap();
            IoSlice::advance_slices(&mut left, written);
        }
        ours.shutdown_write().unwrap();
        let seen = smol::unblock(move || reading.join().unwrap()).await;
        assert!(seen == sent);
    });
}

/// Hundreds of connections run at once, byte by byte. No event of one counts for another.
#[test]
fn many_connections_keep_their_bytes_apart() {
    const CONNECTIONS: u32 = 200;
    on_worker(|worker| async move {
        let (listener, address) = listener(&worker);
        let own = worker.clone();
        let serving = worker.spawn(async move {
            for _ in 0..CONNECTIONS {
                let (mut stream, _) = listener.accept(never_an_error).await;
                let echo = async move {
                    let mut byte = [0];
                    while stream.read(&mut byte).await.unwrap() > 0 {
                        stream.write_all(&byte).await.unwrap();
                    }
                };
                own.spawn(echo).detach();
            }
        });
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                let own = worker.clone();
                worker.spawn(async move {
                    let mut stream = TcpStream::connect(&own, address).await.unwrap();
                    for byte in number.to_be_bytes().repeat(10) {
                        let mut answer = [0];
                        stream.write_all(&[byte]).await.unwrap();
                        stream.read_exact(&mut answer).await.unwrap();
                        assert_eq!(answer, [byte]);
                    }
                })
            })
            .collect();
        for client in clients {
            client.await;
        }
        serving.await;
    });
}

/// The key of a closed connection goes to the next one, again and again.
#[test]
fn connections_that_follow_each_other_do_not_inherit() {
    on_worker(|worker| async move {
        for round in 0..500_u32 {
            let (mut ours, mut peer) = pair(&worker);
            assert!(!ours.has_pending_event(), "of the connection before");
            peer.write_all(&round.to_be_bytes()).unwrap();
            let mut bytes = [0; 4];
            ours.read_exact(&mut bytes).await.unwrap();
            assert_eq!(bytes, round.to_be_bytes());
            // The connection closes with bytes and an end on their way.
            peer.write_all(b"unread").unwrap();
        }
    });
}
