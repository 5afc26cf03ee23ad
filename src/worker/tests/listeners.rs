//! Listening sockets: shared between workers, emptied before they close, refused ports.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream as Peer};

use futures_lite::AsyncWriteExt;
use socket2::SockRef;

use super::on_worker;
use crate::config::plan::Bind;
use crate::worker::{AcceptError, Listener, is_free, listen};

const LOCAL: Bind = Bind::Address(SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0));

fn never_an_error(error: AcceptError) {
    panic!("accepting failed: {error:?}");
}

/// Two workers share one listener, and the kernel gives each connection to one of them.
#[test]
fn two_workers_share_an_address() {
    const CONNECTIONS: usize = 100;
    let first = listen(LOCAL).unwrap();
    let address = first.local_addr().unwrap();
    let second = listen(Bind::Address(address)).unwrap();
    let (stop, stopped) = smol::channel::bounded::<()>(1);
    let workers: Vec<_> = [(first, b'1'), (second, b'2')]
        .into_iter()
        .map(|(socket, name)| {
            let stopped = stopped.clone();
            std::thread::spawn(move || {
                on_worker(|worker| async move {
                    let listener = Listener::new(&worker, socket).unwrap();
                    let mut stop = std::pin::pin!(async {
                        let _ = stopped.recv().await;
                        None
                    });
                    loop {
                        let accept = async { Some(listener.accept(never_an_error).await) };
                        let Some((mut stream, _)) = futures_lite::future::or(accept, stop.as_mut()).await
                        else {
                            return;
                        };
                        stream.write_all(&[name]).await.unwrap();
                    }
                });
            })
        })
        .collect();
    let mut answered = BTreeSet::new();
    for _ in 0..CONNECTIONS {
        let mut byte = [0];
        Peer::connect(address).unwrap().read_exact(&mut byte).unwrap();
        answered.insert(byte[0]);
    }
    assert_eq!(answered, BTreeSet::from([b'1', b'2']));
    drop(stop);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

#[test]
fn an_address_is_free_until_someone_listens_there() {
    let socket = listen(LOCAL).unwrap();
    let address = Bind::Address(socket.local_addr().unwrap());
    assert_eq!(is_free(address).unwrap_err().kind(), ErrorKind::AddrInUse);
    assert!(listen(address).is_ok(), "who knows of the sharing may share");
    let port = socket.local_addr().unwrap().port();
    assert_eq!(is_free(Bind::Any(port)).unwrap_err().kind(), ErrorKind::AddrInUse);
    // Another process may take a port just after the listener closes, but not every time.
    let given_back = |_| {
        let socket = listen(LOCAL).unwrap();
        let address = socket.local_addr().unwrap();
        drop(socket);
        is_free(Bind::Address(address)).is_ok()
    };
    assert!((0..10).any(given_back));
}

/// A port of a socket that does not share cannot be shared.
#[test]
fn an_address_of_someone_else_is_taken() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Bind::Address(socket.local_addr().unwrap());
    assert_eq!(is_free(address).unwrap_err().kind(), ErrorKind::AddrInUse);
    assert_eq!(listen(address).unwrap_err().kind(), ErrorKind::AddrInUse);
}

#[test]
fn every_address_of_the_machine_is_both_families() {
    let socket = listen(Bind::Any(0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(Peer::connect(("127.0.0.1", port)).unwrap());
    if socket.local_addr().unwrap().is_ipv6() {
        // The loopback address may be missing if the machine has no such address family.
        match Peer::connect(("::1", port)) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::AddrNotAvailable),
        }
    }
}

#[test]
fn accepted_connections_are_ready_for_use() {
    on_worker(|worker| async move {
        let listener = Listener::new(&worker, listen(LOCAL).unwrap()).unwrap();
        let address = listener.address();
        let peer = Peer::connect(address).unwrap();
        let (stream, from) = listener.accept(never_an_error).await;
        assert_eq!(from, peer.local_addr().unwrap());
        assert!(SockRef::from(&stream).nonblocking().unwrap(), "never blocks the worker");
        assert!(SockRef::from(&stream).tcp_nodelay().unwrap());
        assert!(rustix::io::fcntl_getfd(&stream).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    });
}

/// One edge may announce several connections, and none waits for the next edge.
#[test]
fn those_who_come_together_are_all_accepted() {
    on_worker(|worker| async move {
        let listener = Listener::new(&worker, listen(LOCAL).unwrap()).unwrap();
        for together in [1, 3, 1, 20] {
            let peers: BTreeSet<_> = (0..together)
                .map(|_| Peer::connect(listener.address()).unwrap().local_addr().unwrap())
                .collect();
            let mut accepted = BTreeSet::new();
            for _ in 0..together {
                accepted.insert(listener.accept(never_an_error).await.1);
            }
            assert_eq!(accepted, peers);
            let another = std::pin::pin!(listener.accept(never_an_error));
            assert!(futures_lite::future::poll_once(another).await.is_none());
        }
    });
}

/// Before a listener closes, it serves the connected clients and resets none.
#[test]
fn what_the_queue_still_has_can_be_taken() {
    on_worker(|worker| async move {
        let listener = Listener::new(&worker, listen(LOCAL).unwrap()).unwrap();
        assert!(listener.accept_queued().await.is_none());
        let peers: Vec<_> = (0..20).map(|_| Peer::connect(listener.address()).unwrap()).collect();
        // A connection that has closed meanwhile must not hide those behind it.
        let closed = Peer::connect(listener.address()).unwrap();
        SockRef::from(&closed).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(closed);
        let last = Peer::connect(listener.address()).unwrap();
        let mut taken = BTreeSet::new();
        let mut streams = Vec::new();
        while let Some((stream, peer)) = listener.accept_queued().await {
            taken.insert(peer);
            streams.push(stream);
        }
        drop(listener);
        for mut peer in peers.into_iter().chain([last]) {
            assert!(taken.contains(&peer.local_addr().unwrap()));
            peer.write_all(b"alive").unwrap();
        }
    });
}
