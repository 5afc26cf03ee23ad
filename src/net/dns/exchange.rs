//! One question and its answer, over UDP, and over TCP if the answer is too long for that.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt};
use smol::Timer;
use smol::net::{TcpStream, UdpSocket};

use super::message::Message;

/// The time for an answer. Then the question is sent once more.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// Times that a question is sent.
const SENT_MAX: usize = 2;
/// Bytes of a UDP answer.
const UDP_BYTES_MAX: usize = 4096;

/// Sends a message, whose first two bytes are `id`, and returns the answer.
///
/// # Errors
/// There is no valid answer in time.
pub(super) async fn exchange(server: SocketAddr, id: u16, message: &[u8]) -> io::Result<Message> {
    let mut sent = 0;
    let answer = loop {
        sent += 1;
        match over_udp(server, id, message).or(late(server)).await {
            Err(error) if error.kind() == io::ErrorKind::TimedOut && sent < SENT_MAX => {}
            result => break result?,
        }
    };
    if answer.is_truncated {
        return over_tcp(server, id, message).or(late(server)).await;
    }
    Ok(answer)
}

async fn over_udp(server: SocketAddr, id: u16, message: &[u8]) -> io::Result<Message> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    // Datagrams of other senders do not arrive.
    socket.connect(server).await?;
    socket.send(message).await?;
    let mut bytes = vec![0; UDP_BYTES_MAX];
    loop {
        let count = socket.recv(&mut bytes).await?;
        // An answer to another question may be forged (RFC 5452, section 9.1). The true one may follow.
        if let Some(answer) = Message::read(&bytes[..count]).filter(|answer| answer.fits(id, message)) {
            return Ok(answer);
        }
    }
}

/// The length stands before each message (RFC 1035, section 4.2.2).
async fn over_tcp(server: SocketAddr, id: u16, message: &[u8]) -> io::Result<Message> {
    let mut socket = TcpStream::connect(server).await?;
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    socket.write_all(&[&length.to_be_bytes(), message].concat()).await?;
    let mut length = [0; 2];
    socket.read_exact(&mut length).await?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    socket.read_exact(&mut bytes).await?;
    let answer = Message::read(&bytes).filter(|answer| answer.fits(id, message) && !answer.is_truncated);
    answer.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{server} sent no valid answer")))
}

async fn late(server: SocketAddr) -> io::Result<Message> {
    Timer::after(ANSWER_TIME_MAX).await;
    let message = format!("the DNS server {server} does not answer");
    Err(io::Error::new(io::ErrorKind::TimedOut, message))
}
