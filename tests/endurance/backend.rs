//! A backend whose responses say which one it is and how it was reached.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use crate::support::fingerprint;
use crate::support::message::{Body, Framing};
use crate::support::tls::{Leaf, Tls};
use crate::support::wire::{Transport, Wire};

/// Longer than any test: the gate decides how long a connection stays idle.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The response to an upgrade to WebSocket.
pub(crate) const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Backend: ";

/// A backend: HTTP on one port, HTTPS with a certificate of its own on the other.
pub(crate) struct Backend {
    pub(crate) name: &'static str,
    pub(crate) plain: SocketAddr,
    pub(crate) secure: SocketAddr,
    pub(crate) certificate: CertificateDer<'static>,
}

impl Backend {
    /// Serves until the process ends.
    pub(crate) fn start(name: &'static str, leaf: &Leaf) -> Backend {
        let config = leaf.server();
        Backend {
            name,
            plain: listen(name, |stream| Some(Box::new(stream))),
            secure: listen(name, move |stream| Some(Box::new(Tls::accept(stream, &config).ok()?))),
            certificate: leaf.certificate(),
        }
    }
}

fn listen(
    name: &'static str,
    wrap: impl Fn(TcpStream) -> Option<Box<dyn Transport>> + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let wrap = Arc::new(wrap);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let wrap = wrap.clone();
            thread::spawn(move || wrap(stream).map(|transport| serve(name, transport)));
        }
    });
    address
}

/// Responds to each request with four words: the backend's name, whether the gate has read the request, the
/// client's token, and the fingerprint of the body. For an early response the body is not read and counts as
/// empty. After an upgrade it echoes all bytes.
fn serve(name: &str, transport: Box<dyn Transport>) {
    // Not recorded, because a connection transfers too much.
    let mut wire = Wire::new(transport, PATIENCE, None);
    while let Ok(head) = wire.take_head() {
        if head.get("upgrade").is_some() {
            return echo(name, wire);
        }
        let early = head.get("x-early");
        let mut take_body = || wire.take_body(head.framing(Framing::None));
        let body = if early.is_none() { take_body() } else { Body::default() };
        if body.fault.is_some() {
            return;
        }
        let how = if head.get("x-forwarded-for").is_some() { "forwarded" } else { "passed" };
        let token = head.get("x-token").unwrap_or("-");
        let answer = format!("{name} {how} {token} {:x}", fingerprint(&body.bytes));
        let length = answer.len();
        let closes = early == Some("closes");
        let status = if closes { "413 Too Large\r\nConnection: close" } else { "200 OK" };
        let sent =
            wire.send(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{answer}").as_bytes());
        if closes {
            wire.finish();
        }
        if sent.is_err() || early.is_some() && wire.take_body(head.framing(Framing::None)).fault.is_some() {
            return;
        }
    }
    wire.finish();
}

fn echo(name: &str, mut wire: Wire) {
    if wire.send(format!("{SWITCH}{name}\r\n\r\n").as_bytes()).is_err() {
        return;
    }
    while wire.fill().is_ok() {
        let bytes = std::mem::take(&mut wire.buffer);
        if wire.send(&bytes).is_err() {
            return;
        }
    }
    wire.finish();
}
