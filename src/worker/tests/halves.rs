//! Ends of connections, and the few events that the kernel reports for them.

use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future::poll_once;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use socket2::SockRef;

use super::{on_worker, pair};

/// Bytes and the end form one edge when they come together. Without a separate mark for the end, a short read
/// would count as everything, and the end would never be seen.
#[test]
fn an_end_that_comes_with_the_last_bytes_is_seen() {
    on_worker(|worker| async move {
        let (mut ours, mut peer) = pair(&worker);
        peer.write_all(b"last words").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        let mut bytes = [0; 64];
        assert_eq!(ours.read(&mut bytes).await.unwrap(), 10);
        assert_eq!(ours.read(&mut bytes).await.unwrap(), 0);
        assert_eq!(ours.read(&mut bytes).await.unwrap(), 0, "an end stays an end");
    });
}

/// Bytes and the end come in one segment, because the cork holds the bytes back until the end is there.
#[cfg(target_os = "linux")]
#[test]
fn an_end_in_the_same_segment_is_seen() {
    on_worker(|worker| async move {
        let (mut ours, mut peer) = pair(&worker);
        SockRef::from(&peer).set_tcp_cork(true).unwrap();
        peer.write_all(b"last words").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        let mut bytes = Vec::new();
        ours.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, b"last words");
    });
}

/// A read stops in front of an urgent byte, so it is short although there is more behind it.
#[test]
fn bytes_behind_an_urgent_byte_are_seen() {
    on_worker(|worker| async move {
        let (mut ours, mut peer) = pair(&worker);
        peer.write_all(b"before").unwrap();
        SockRef::from(&peer).send_out_of_band(b"!").unwrap();
        peer.write_all(b"behind").unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"behind") {
            let mut bytes = [0; 64];
            let count = ours.read(&mut bytes).await.unwrap();
            assert_ne!(count, 0);
            seen.extend(&bytes[..count]);
        }
        assert_eq!(seen, b"beforebehind");
    });
}

#[test]
fn what_the_peer_shuts_leaves_our_half_open() {
    on_worker(|worker| async move {
        let (mut ours, mut peer) = pair(&worker);
        peer.shutdown(Shutdown::Write).unwrap();
        let mut bytes = [0; 8];
        assert_eq!(ours.read(&mut bytes).await.unwrap(), 0);
        ours.write_all(b"still here").await.unwrap();
        ours.shutdown_write().unwrap();
        let mut seen = Vec::new();
        peer.read_to_end(&mut seen).unwrap();
        assert_eq!(seen, b"still here");
    });
}

#[test]
fn what_we_shut_leaves_their_half_open() {
    on_worker(|worker| async move {
        let (mut ours, mut peer) = pair(&worker);
        ours.close().await.unwrap();
        let mut seen = Vec::new();
        peer.read_to_end(&mut seen).unwrap();
        assert!(seen.is_empty());
        peer.write_all(b"answer").unwrap();
        drop(peer);
        ours.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, b"answer");
        let error = loop {
            // The peer has gone. The kernel may still take the first write before the reset comes back.
            match ours.write(b"too late").await {
                Ok(_) => worker.yield_now().await,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_reset_is_an_error_and_not_an_end() {
    on_worker(|worker| async move {
        let (mut ours, peer) = pair(&worker);
        SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        drop(peer);
        let error = ours.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn our_reset_is_an_error_to_the_peer() {
    on_worker(|worker| async move {
        let (ours, mut peer) = pair(&worker);
        ours.close_with_reset(true);
        drop(ours);
        assert_eq!(peer.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_reader_that_waits_learns_of_a_reset_and_so_does_a_writer() {
    on_worker(|worker| async move {
        let (ours, peer) = pair(&worker);
        let ours = Rc::new(ours);
        let reading = {
            let ours = ours.clone();
            worker.spawn(async move { (&*ours).read(&mut [0; 8]).await.map_err(|error| error.kind()) })
        };
        let writing = {
            let ours = ours.clone();
            worker.spawn(async move {
                loop {
                    if let Err(error) = (&*ours).write(&[0; 65536]).await {
                        return error.kind();
                    }
                }
            })
        };
        // Both tasks have run once and wait, one for bytes and one for room.
        while ours.source().write.is_ready() || ours.source().read.is_ready() {
            worker.yield_now().await;
        }
        SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        drop(peer);
        let ends = (reading.await, writing.await);
        // The first task takes the error; the second finds the connection closed.
        assert!(matches!(
            ends,
            (Err(ErrorKind::ConnectionReset), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
                | (Ok(0), ErrorKind::ConnectionReset)
        ));
    });
}

#[test]
fn news_are_bytes_an_end_or_a_reset_and_nothing_else() {
    on_worker(|worker| async move {
        let (mut ours, mut peer) = pair(&worker);
        assert!(ours.is_open_and_idle() && !ours.has_pending_event());
        peer.write_all(b"12345678").unwrap();
        ours.readable().await;
        assert!(ours.has_pending_event() && !ours.is_open_and_idle());
        // A read that fills its buffer does not show that nothing follows.
        assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 8);
        assert!(ours.is_open_and_idle() && !ours.has_pending_event());
        peer.write_all(b"9").unwrap();
        ours.readable().await;
        assert!(ours.has_pending_event());
        assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 1);
        assert!(ours.is_open_and_idle() && !ours.has_pending_event());
        drop(peer);
        ours.readable().await;
        assert!(ours.has_pending_event() && !ours.is_open_and_idle());

        let (ours, peer) = pair(&worker);
        SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        drop(peer);
        ours.readable().await;
        assert!(ours.has_pending_event() && !ours.is_open_and_idle());
    });
}

/// A client that has left ends its exchange; a client that has only finished sending does not.
#[test]
fn a_connection_is_gone_when_both_ways_have_ended_or_it_was_reset() {
    on_worker(|worker| async move {
        let (ours, peer) = pair(&worker);
        let is_gone = || poll_once(poll_fn(|cx| ours.poll_closed(cx)));
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!((&ours).read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(is_gone().await, None, "it still reads");
        ours.shutdown_write().unwrap();
        poll_fn(|cx| ours.poll_closed(cx)).await;

        let (ours, peer) = pair(&worker);
        let is_gone = || poll_once(poll_fn(|cx| ours.poll_closed(cx)));
        assert_eq!(is_gone().await, None);
        SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        drop(peer);
        poll_fn(|cx| ours.poll_closed(cx)).await;
    });
}

/// A reset ends a tunnel at once. Two ends do not while bytes are still unread.
#[test]
fn a_connection_that_both_have_ended_is_not_reset() {
    on_worker(|worker| async move {
        let (ours, mut peer) = pair(&worker);
        let is_reset = || poll_once(poll_fn(|cx| ours.poll_reset(cx)));
        peer.write_all(b"last words").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        ours.shutdown_write().unwrap();
        poll_fn(|cx| ours.poll_closed(cx)).await;
        assert_eq!(is_reset().await, None);
        assert_eq!((&ours).read(&mut [0; 16]).await.unwrap(), 10);

        for ends_first in [false, true] {
            let (ours, peer) = pair(&worker);
            let is_reset = || poll_once(poll_fn(|cx| ours.poll_reset(cx)));
            if ends_first {
                peer.shutdown(Shutdown::Write).unwrap();
                assert_eq!((&ours).read(&mut [0; 8]).await.unwrap(), 0);
            }
            assert_eq!(is_reset().await, None);
            SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
            drop(peer);
            poll_fn(|cx| ours.poll_reset(cx)).await;
        }
    });
}
