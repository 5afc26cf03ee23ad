//! A connection to a server elsewhere, plain or encrypted, on the control plane.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use smol::{Async, Timer};

use super::url::Url;

/// The time for a connection to one address. Then the next address is tried.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// A connection: the socket, and TLS if the URL says so.
pub(super) struct Connection {
    socket: Async<TcpStream>,
    tls: Option<ClientConnection>,
}

impl Connection {
    /// Connects to `address`, or to the first address of the host that answers. TLS begins with the first bytes that are sent.
    pub(super) async fn open(
        url: &Url,
        address: Option<SocketAddr>,
        config: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let addresses = match address {
            Some(address) => vec![address],
            None => smol::net::resolve((url.host(), url.port())).await?,
        };
        let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let (mut socket, mut failed) = (None, none());
        for address in addresses {
            match connect(address).await {
                Ok(opened) => {
                    socket = Some(opened);
                    break;
                }
                Err(error) => failed = error,
            }
        }
        let socket = socket.ok_or(failed)?;
        let tls = if url.is_tls() {
            let name = ServerName::try_from(url.host().to_owned()).map_err(io::Error::other)?;
            Some(ClientConnection::new(config.clone(), name).map_err(io::Error::other)?)
        } else {
            None
        };
        Ok(Self { socket, tls })
    }

    /// Sends all bytes.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Self { socket, tls: Some(tls) } = self else { return self.socket.write_all(bytes).await };
        tls.writer().write_all(bytes)?;
        while tls.is_handshaking() {
            flush(socket, tls).await?;
            if tls.wants_read() && !take_in(socket, tls).await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        flush(socket, tls).await
    }

    /// Reads some bytes; 0 at the end. With TLS, an end without `close_notify` is an error.
    pub(super) async fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Self { socket, tls: Some(tls) } = self else { return self.socket.read(into).await };
        loop {
            match tls.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            flush(socket, tls).await?;
            // At the end of TCP, the next read of TLS says whether that is an end.
            take_in(socket, tls).await?;
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<Async<TcpStream>> {
    let late = async {
        Timer::after(CONNECT_TIME_MAX).await;
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no connection to {address} within {CONNECT_TIME_MAX:?}"),
        ))
    };
    Async::<TcpStream>::connect(address).or(late).await
}

/// Sends everything that TLS has to send.
async fn flush(socket: &mut Async<TcpStream>, tls: &mut ClientConnection) -> io::Result<()> {
    let mut records = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut records)?;
    }
    socket.write_all(&records).await
}

/// Reads once from TCP into TLS. `false` at the end of TCP.
async fn take_in(socket: &mut Async<TcpStream>, tls: &mut ClientConnection) -> io::Result<bool> {
    let mut bytes = [0; 8 * 1024];
    let count = socket.read(&mut bytes).await?;
    let mut rest = &bytes[..count];
    loop {
        // An empty slice tells TLS about the end.
        tls.read_tls(&mut rest)?;
        let processed = tls.process_new_packets();
        if let Err(error) = processed {
            // The alert goes out if it can.
            let _ = flush(socket, tls).await;
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        if rest.is_empty() {
            return Ok(count > 0);
        }
    }
}
