//! A client of the internal API, for `smolgate reload`, `smolgate tail` and their like.
//!
//! It blocks and needs the standard library alone: one connection, one request, one response. The server always
//! sends `Content-Length`, unless there is no content, and always closes, and this client understands nothing else. Only
//! `/tail` has no length: its response ends with the connection.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::config::plan::{Bind, InternalBind, Secret};

/// Bytes of the longest response. The largest `/metrics` is smaller.
pub const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The longest silence of a server that is followed. It sends an empty line every 20 s.
pub const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Sends a GET and returns the status and body of the response.
///
/// # Errors
/// No server listens there, the server speaks another protocol, or `timeout` is over.
pub fn get(
    bind: &InternalBind,
    token: Option<&Secret>,
    path: &str,
    timeout: Duration,
) -> io::Result<(u16, String)> {
    ask("GET", bind, token, path, "", timeout)
}

/// Sends a request with a method and a body, which is JSON if it is not empty, and returns the status and body of the
/// response.
///
/// # Errors
/// As [`get`].
pub fn ask(
    method: &str,
    bind: &InternalBind,
    token: Option<&Secret>,
    path: &str,
    body: &str,
    timeout: Duration,
) -> io::Result<(u16, String)> {
    let deadline = Instant::now() + timeout;
    let (mut stream, host) = connect(bind, deadline)?;
    stream.set_timeout(left(deadline)?)?;
    timely(stream.write_all(request(method, &host, token, path, body).as_bytes()).map(|()| 0))?;
    finish(&mut *stream, Vec::new(), deadline)
}

/// Sends a GET, and gives each piece of the body of a response with status 200 to `each`, until that says that it is
/// enough, or until the server ends it. Returns the status, and the body of another response.
///
/// # Errors
/// As [`get`], where `timeout` is that of the head; or the server is silent for longer than [`SILENCE_MAX`].
pub fn follow(
    bind: &InternalBind,
    token: Option<&Secret>,
    path: &str,
    timeout: Duration,
    each: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<(u16, String)> {
    let deadline = Instant::now() + timeout;
    let (mut stream, host) = connect(bind, deadline)?;
    stream.set_timeout(left(deadline)?)?;
    stream.write_all(request("GET", &host, token, path, "").as_bytes())?;
    let (mut head, mut buffer) = (Vec::new(), [0; 8 * 1024]);
    let end = loop {
        stream.set_timeout(left(deadline)?)?;
        let read = timely(stream.read(&mut buffer))?;
        head.extend_from_slice(&buffer[..read]);
        match memchr::memmem::find(&head, b"\r\n\r\n") {
            Some(end) => break end + 4,
            None if read == 0 => return Err(io::Error::other("the answer is not that of a gate")),
            None => {}
        }
    };
    if !head.starts_with(b"HTTP/1.1 200 ") {
        return finish(&mut *stream, head, deadline);
    }
    stream.set_timeout(SILENCE_MAX)?;
    let mut piece = head[end..].to_vec();
    while each(&piece).is_continue() {
        match timely(stream.read(&mut buffer))? {
            0 => break,
            read => piece = buffer[..read].to_vec(),
        }
    }
    Ok((200, String::new()))
}

/// Connects to the server. Returns the value of `Host`, too.
fn connect(bind: &InternalBind, deadline: Instant) -> io::Result<(Box<dyn Timed>, String)> {
    let bind = match bind {
        InternalBind::Unix(socket) => {
            return Ok((Box::new(UnixStream::connect(socket)?), "localhost".to_owned()));
        }
        InternalBind::Tcp(bind) => *bind,
    };
    let mut failed = io::ErrorKind::AddrNotAvailable.into();
    for address in addresses(bind) {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok((Box::new(stream), address.to_string())),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// The addresses at which a server with that bind can be reached. A server on every address is reached at the
/// loopback addresses.
fn addresses(bind: Bind) -> Vec<SocketAddr> {
    let loopback = |ip: IpAddr, port| SocketAddr::from((ip, port));
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
    match bind {
        Bind::Any(port) => vec![loopback(v4, port), loopback(v6, port)],
        Bind::Address(address) if !address.ip().is_unspecified() => vec![address],
        Bind::Address(SocketAddr::V4(address)) => vec![loopback(v4, address.port())],
        Bind::Address(SocketAddr::V6(address)) => {
            vec![loopback(v6, address.port()), loopback(v4, address.port())]
        }
    }
}

fn request(method: &str, host: &str, token: Option<&Secret>, path: &str, body: &str) -> String {
    let token = token.map(|token| format!("Authorization: Bearer {}\r\n", token.0)).unwrap_or_default();
    let media = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{token}{media}Content-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

/// A stream with timeouts.
trait Timed: Read + Write {
    fn set_timeout(&self, limit: Duration) -> io::Result<()>;
}

impl Timed for TcpStream {
    fn set_timeout(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }
}

impl Timed for UnixStream {
    fn set_timeout(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }
}

/// Says of an error that the time is over, if it is.
fn timely(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            Err(late())
        }
        other => other,
    }
}

/// Reads the rest of a response that began with `answer`.
fn finish(stream: &mut dyn Timed, mut answer: Vec<u8>, deadline: Instant) -> io::Result<(u16, String)> {
    let mut buffer = [0; 8 * 1024];
    loop {
        stream.set_timeout(left(deadline)?)?;
        match timely(stream.read(&mut buffer))? {
            0 => return parse(&answer).ok_or_else(|| io::Error::other("the answer is not that of a gate")),
            read => answer.extend_from_slice(&buffer[..read]),
        }
        if answer.len() as u64 > ANSWER_BYTES_MAX {
            return Err(io::Error::other("the answer is too large"));
        }
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(late()) } else { Ok(left) }
}

/// Parses a whole response into its status and body.
fn parse(answer: &[u8]) -> Option<(u16, String)> {
    let end = memchr::memmem::find(answer, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let body = &answer[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    if status == 204 {
        return body.is_empty().then(|| (status, String::new()));
    }
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    })?;
    (body.len() == length).then(|| (status, String::from_utf8_lossy(body).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_responses_are_parsed() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n";
        assert_eq!(parse(answer), Some((200, "ok\n".to_string())));
        for cut in 0..answer.len() {
            assert_eq!(parse(&answer[..cut]), None, "{cut}");
        }
        assert_eq!(parse(b"SSH-2.0-x\r\n\r\n"), None);
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n\r\nno length"), None);
    }

    #[test]
    fn a_server_on_every_address_is_reached_at_loopback() {
        let all = |text: &str| addresses(Bind::Address(text.parse().unwrap()))[0].to_string();
        assert_eq!(all("0.0.0.0:7"), "127.0.0.1:7");
        assert_eq!(all("[::]:7"), "[::1]:7");
        assert_eq!(all("10.0.0.1:7"), "10.0.0.1:7");
        assert_eq!(addresses(Bind::Any(7)).len(), 2);
    }
}
