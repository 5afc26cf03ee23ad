//! Tests of the promises of a stream. Plain and encrypted streams have the same scenarios and the same
//! expectations.

use std::future::{Future, poll_fn};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream as Socket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_lite::future::poll_once;
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
    version,
};
use socket2::SockRef;

use super::*;
use crate::worker;

const DEADLINE: Duration = Duration::from_secs(60);

/// The kind of a connection.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain,
    /// TLS of a version. The stream is the client if the flag is set, else the server.
    Tls(&'static SupportedProtocolVersion, bool),
}

const KINDS: [Kind; 5] = [
    Kind::Plain,
    Kind::Tls(&version::TLS12, true),
    Kind::Tls(&version::TLS12, false),
    Kind::Tls(&version::TLS13, true),
    Kind::Tls(&version::TLS13, false),
];

/// The peer of a stream, which blocks.
struct Peer {
    socket: Socket,
    tls: Option<Connection>,
}

impl Peer {
    fn write(&mut self, bytes: &[u8]) {
        self.write_cut(bytes, usize::MAX);
    }

    /// Writes `bytes`, but of the bytes on the wire only the first `most`. Returns the others.
    fn write_cut(&mut self, bytes: &[u8], most: usize) -> Vec<u8> {
        let mut wire = Vec::new();
        match &mut self.tls {
            None => wire.extend(bytes),
            Some(tls) => {
                for piece in bytes.chunks(16 * 1024) {
                    tls.writer().write_all(piece).unwrap();
                    while tls.wants_write() {
                        tls.write_tls(&mut wire).unwrap();
                    }
                }
            }
        }
        let rest = wire.split_off(most.min(wire.len()));
        self.socket.write_all(&wire).unwrap();
        rest
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.read(into) };
        loop {
            match tls.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
            tls.read_tls(&mut self.socket)?;
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }

    /// All bytes that come, and how they end.
    fn read_to_end(&mut self) -> (Vec<u8>, Result<(), ErrorKind>) {
        let (mut all, mut piece) = (Vec::new(), [0; 10_000]);
        loop {
            match self.read(&mut piece) {
                Ok(0) => return (all, Ok(())),
                Ok(count) => all.extend(&piece[..count]),
                Err(error) => return (all, Err(error.kind())),
            }
        }
    }

    /// Ends the writing side.
    fn end(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            while tls.wants_write() {
                tls.write_tls(&mut self.socket).unwrap();
            }
        }
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    fn reset(self) {
        SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// Both sides of a TLS session, with a certificate of their own.
fn sessions(version: &'static SupportedProtocolVersion) -> (ClientConnection, ServerConnection) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["peer.test".into()]).unwrap().self_signed(&key).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let name = ServerName::try_from("peer.test").unwrap();
    let client = ClientConnection::new(client.into(), name).unwrap();
    (client, ServerConnection::new(server.into()).unwrap())
}

/// A connection of that kind, after the whole handshake.
async fn pair(worker: &Worker, kind: Kind) -> (Stream, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut socket = Socket::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.set_nodelay(true).unwrap();
    let tcp = TcpStream::new(worker, ours).unwrap();
    let Kind::Tls(version, we_are_client) = kind else {
        return (Stream::Plain(tcp), Peer { socket, tls: None });
    };
    let (client, server) = sessions(version);
    let (ours, mut theirs): (Connection, Connection) =
        if we_are_client { (client.into(), server.into()) } else { (server.into(), client.into()) };
    let shaking = thread::spawn(move || {
        while theirs.is_handshaking() || theirs.wants_write() {
            theirs.complete_io(&mut socket).unwrap();
        }
        Peer { socket, tls: Some(theirs) }
    });
    let stream = Stream::encrypted(tcp, ours, None);
    poll_fn(|cx| stream.poll_handshake(cx, || {})).await.unwrap();
    let peer = smol::unblock(|| shaking.join().unwrap()).await;
    // With TLS 1.3, session tickets have come by now, and they are no pending event.
    assert!(!has_pending_event(&stream), "{kind:?}");
    (stream, peer)
}

/// Runs a scenario for each kind.
fn for_each<F: Future<Output = ()> + 'static>(scenario: impl Fn(Worker, Kind) -> F + Copy + 'static) {
    for kind in KINDS {
        let ran = worker::run(move |worker| async move { scenario(worker, kind).await });
        ran.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
    }
}

async fn read(stream: &Stream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let mut filled = 0;
    while filled < count {
        let read = poll_fn(|cx| stream.poll_read(cx, &mut bytes[filled..])).await.unwrap();
        assert!(read > 0, "the end after {filled} bytes");
        filled += read;
    }
    bytes
}

async fn readable(stream: &Stream) {
    poll_fn(|cx| stream.poll_readable(cx)).await;
}

async fn is_readable(stream: &Stream) -> bool {
    poll_once(poll_fn(|cx| stream.poll_readable(cx))).await.is_some()
}

async fn write(stream: &Stream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let slices = [IoSlice::new(bytes)];
        let written = poll_fn(|cx| stream.poll_write_vectored(cx, &slices)).await.unwrap();
        bytes = &bytes[written..];
    }
    poll_fn(|cx| stream.poll_flush(cx)).await.unwrap();
}

/// Whether there is a pending event. Both questions are asked, in both orders, because one must not change
/// the answer to the other.
#[track_caller]
fn has_pending_event(stream: &Stream) -> bool {
    let (quiet, news) = (stream.is_open_and_idle(), stream.has_pending_event());
    assert_eq!((quiet, news, stream.is_open_and_idle()), (!news, news, quiet));
    news
}

#[test]
fn unread_bytes_are_a_pending_event_wherever_they_are() {
    for_each(|worker, kind| async move {
        let (stream, mut peer) = pair(&worker, kind).await;
        for size in [1, 2047, 2048, 2049, 4096, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537] {
            let bytes: Vec<u8> = (0..=size).map(|number| number as u8).collect();
            peer.write(&bytes);
            assert_eq!(read(&stream, size).await, bytes[..size]);
            readable(&stream).await;
            assert!(
                has_pending_event(&stream) && is_readable(&stream).await,
                "{kind:?}: one byte behind {size}"
            );
            assert_eq!(read(&stream, 1).await, bytes[size..]);
            assert!(
                !has_pending_event(&stream) && !is_readable(&stream).await,
                "{kind:?}: nothing behind {size}"
            );
        }
    });
}

#[test]
fn a_part_of_the_bytes_is_a_pending_event_too() {
    for_each(|worker, kind| async move {
        for most in [1, 3, 5, 6, 50, 4096, 5000] {
            let (stream, mut peer) = pair(&worker, kind).await;
            let bytes = vec![b'x'; 6000];
            let rest = peer.write_cut(&bytes, most);
            readable(&stream).await;
            assert!(has_pending_event(&stream), "{kind:?}: {most} bytes of it");
            peer.socket.write_all(&rest).unwrap();
            assert_eq!(read(&stream, bytes.len()).await, bytes, "{kind:?}: {most} bytes first");
            assert!(!has_pending_event(&stream), "{kind:?}");
        }
    });
}

#[test]
fn an_end_and_a_reset_are_pending_events() {
    for_each(|worker, kind| async move {
        let (stream, mut peer) = pair(&worker, kind).await;
        peer.write(b"last");
        peer.end();
        assert_eq!(read(&stream, 4).await, b"last");
        readable(&stream).await;
        assert!(has_pending_event(&stream), "{kind:?}");
        let end = poll_fn(|cx| stream.poll_read(cx, &mut [0; 8])).await;
        assert_eq!(end.unwrap(), 0);
        assert!(has_pending_event(&stream) && is_readable(&stream).await, "{kind:?}: the end stays");

        let (stream, peer) = pair(&worker, kind).await;
        peer.reset();
        readable(&stream).await;
        assert!(has_pending_event(&stream), "{kind:?}");
        // The question may have taken the error. Bytes never come.
        let nothing = poll_fn(|cx| stream.poll_read(cx, &mut [0; 8])).await;
        assert!(!matches!(nothing, Ok(1..)), "{kind:?}: {nothing:?}");
    });
}

#[test]
fn bytes_that_are_taken_at_once_need_no_other_call() {
    for_each(|worker, kind| async move {
        let (stream, mut peer) = pair(&worker, kind).await;
        let bytes: Vec<u8> = (0..100_000u32).map(|number| (number % 251) as u8).collect();
        let reading = thread::spawn(move || (peer.read_to_end(), peer));
        let taken = stream.try_write(&[IoSlice::new(&bytes[..10]), IoSlice::new(&bytes[10..100])]);
        write(&stream, &bytes[taken.unwrap()..]).await;
        poll_fn(|cx| stream.poll_shutdown(cx)).await.unwrap();
        let (read, _) = smol::unblock(|| reading.join().unwrap()).await;
        assert!(read == (bytes, Ok(())), "{kind:?}: {} bytes, {:?}", read.0.len(), read.1);
    });
}

#[test]
fn the_end_goes_out_with_the_last_bytes() {
    for_each(|worker, kind| async move {
        let (stream, mut peer) = pair(&worker, kind).await;
        let bytes = vec![b'x'; 300_000];
        let expected = bytes.len();
        let reading = thread::spawn(move || (peer.read_to_end(), peer));
        let mut left = &bytes[..];
        while !left.is_empty() {
            let (one, two) = left.split_at(left.len() / 2);
            let slices = [IoSlice::new(one), IoSlice::new(two)];
            let written = poll_fn(|cx| stream.poll_write_last(cx, &slices)).await.unwrap();
            left = &left[written..];
        }
        poll_fn(|cx| stream.poll_flush(cx)).await.unwrap();
        if let Some(tcp) = stream.plain() {
            tcp.shutdown_write().unwrap();
        } else {
            drop(stream);
        }
        let ((read, end), _) = smol::unblock(|| reading.join().unwrap()).await;
        assert_eq!((read.len(), end), (expected, Ok(())), "{kind:?}");
    });
}

#[test]
fn after_a_shutdown_reading_goes_on_and_writing_does_not() {
    for_each(|worker, kind| async move {
        let (stream, mut peer) = pair(&worker, kind).await;
        write(&stream, b"said").await;
        poll_fn(|cx| stream.poll_shutdown(cx)).await.unwrap();
        assert_eq!(peer.read_to_end(), (b"said".to_vec(), Ok(())), "{kind:?}");
        peer.write(b"answered");
        assert_eq!(read(&stream, 8).await, b"answered");
        let more = poll_fn(|cx| stream.poll_write_vectored(cx, &[IoSlice::new(b"more")])).await;
        assert_eq!(more.unwrap_err().kind(), ErrorKind::BrokenPipe, "{kind:?}");
        // A second shutdown has no effect.
        poll_fn(|cx| stream.poll_shutdown(cx)).await.unwrap();
    });
}

#[test]
fn an_end_that_must_not_look_clean_does_not() {
    for_each(|worker, kind| async move {
        let (stream, mut peer) = pair(&worker, kind).await;
        write(&stream, b"the first half").await;
        stream.close_with_reset(true);
        drop(stream);
        let (_, end) = peer.read_to_end();
        assert!(end.is_err(), "{kind:?}: the end looks clean");

        let (stream, mut peer) = pair(&worker, kind).await;
        stream.close_with_reset(true);
        write(&stream, b"all of it").await;
        stream.close_with_reset(false);
        drop(stream);
        assert_eq!(peer.read_to_end(), (b"all of it".to_vec(), Ok(())), "{kind:?}");
    });
}

#[test]
fn a_connection_that_is_dropped_between_messages_ends_cleanly() {
    for_each(|worker, kind| async move {
        let (stream, mut peer) = pair(&worker, kind).await;
        drop(stream);
        assert_eq!(peer.read_to_end(), (Vec::new(), Ok(())), "{kind:?}: nothing was written");

        let (stream, mut peer) = pair(&worker, kind).await;
        write(&stream, b"one").await;
        stream.message_ended();
        drop(stream);
        assert_eq!(peer.read_to_end(), (b"one".to_vec(), Ok(())), "{kind:?}");

        let (stream, mut peer) = pair(&worker, kind).await;
        write(&stream, b"one").await;
        stream.message_ended();
        write(&stream, b"half of two").await;
        drop(stream);
        // TCP alone cannot show the cut; the framing does.
        let cut = matches!(kind, Kind::Tls(..)).then_some(ErrorKind::UnexpectedEof);
        assert_eq!(peer.read_to_end().1.err(), cut, "{kind:?}");
    });
}

#[test]
fn a_connection_is_closed_when_both_ways_have_ended_or_it_was_reset() {
    for_each(|worker, kind| async move {
        let (stream, mut peer) = pair(&worker, kind).await;
        peer.end();
        readable(&stream).await;
        assert_eq!(poll_fn(|cx| stream.poll_read(cx, &mut [0; 8])).await.unwrap(), 0);
        let is_gone = poll_once(poll_fn(|cx| stream.poll_closed(cx))).await;
        assert_eq!(is_gone, None, "{kind:?}: the other way is still open");
        poll_fn(|cx| stream.poll_shutdown(cx)).await.unwrap();
        poll_fn(|cx| stream.poll_closed(cx)).await;

        let (stream, peer) = pair(&worker, kind).await;
        peer.reset();
        poll_fn(|cx| stream.poll_closed(cx)).await;
    });
}
