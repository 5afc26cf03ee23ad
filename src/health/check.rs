//! One check of one endpoint. Blocks, on a thread of the control plane.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use super::http2::http2;
use crate::config::plan::{Health, HealthRequest, HttpVersions, Target, TargetAddress};
use crate::http::{FieldTable, HeadLimits};
use crate::http1::{HeadScan, parse_response};
use crate::tls::{Connector, HTTP2_PROTOCOL};

/// Bytes of a response that are looked at.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// Limits on the head of a response.
const HEAD_LIMITS: HeadLimits = HeadLimits { bytes: RESPONSE_BYTES_MAX, fields: 256, target: 0 };

/// Checks an endpoint in one of the `versions` that are spoken to it. The error says why it did not pass.
pub(super) fn check(
    health: &Health,
    target: &Target,
    address: &TargetAddress,
    connector: Option<&Connector>,
    versions: HttpVersions,
) -> Result<(), String> {
    let deadline = Instant::now() + health.timeout;
    let words = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        _ => error.to_string(),
    };
    let stream = connect(health, address).map_err(words)?;
    let mut stream = Timed { stream, deadline };
    let Some(connector) = connector else {
        return match versions {
            HttpVersions::Http2 => ask(health, target, &mut http2(&mut stream, false), words),
            HttpVersions::Http1 | HttpVersions::Either => ask(health, target, &mut stream, words),
        };
    };
    let mut tls = connector.offering(versions).connection(target).map_err(|error| error.to_string())?;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).map_err(words)?;
    }
    let takes_http2 = tls.alpn_protocol() == Some(HTTP2_PROTOCOL);
    let mut stream = rustls::Stream::new(&mut tls, &mut stream);
    match (versions, takes_http2) {
        (HttpVersions::Http2 | HttpVersions::Either, true) => {
            ask(health, target, &mut http2(&mut stream, true), words)
        }
        (HttpVersions::Http2, false) => Err("it does not offer HTTP/2 in the handshake".to_owned()),
        (HttpVersions::Http1 | HttpVersions::Either, _) => ask(health, target, &mut stream, words),
    }
}

fn connect(health: &Health, address: &TargetAddress) -> io::Result<Socket> {
    match address {
        TargetAddress::Ip(address) => {
            let address = SocketAddr::new(address.ip(), health.port.unwrap_or(address.port()));
            TcpStream::connect_timeout(&address, health.timeout).map(Into::into)
        }
        TargetAddress::Unix(path) => {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            // The limit of a connect that waits in the queue of the listener.
            socket.set_write_timeout(Some(health.timeout))?;
            socket.connect(&SockAddr::unix(&**path)?)?;
            Ok(socket)
        }
    }
}

/// Sends the request, if there is one, and looks at the response.
fn ask(
    health: &Health,
    target: &Target,
    stream: &mut (impl Read + Write),
    words: fn(io::Error) -> String,
) -> Result<(), String> {
    let Some(HealthRequest { path, method, host, headers, status, body }) = &health.request else {
        return Ok(());
    };
    let host = host.as_deref().map_or_else(|| target.authority(), str::to_owned);
    let base = &target.base_path;
    let own = ("User-Agent", "smolgate-health");
    let own = (!headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(own.0))).then_some(own);
    let fields = headers.iter().map(|(name, value)| (&**name, &**value)).chain(own);
    let fields: String = fields.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{method} {base}{path} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).and_then(|()| stream.flush()).map_err(words)?;
    let (mut response, mut piece, mut head) = (Vec::new(), [0; 4096], None);
    loop {
        if head.is_none() {
            head = head_of(&response)?;
        }
        if let Some((answered, len)) = head {
            let is_expected = match status[..] {
                [] => (200..300).contains(&answered),
                _ => status.contains(&answered),
            };
            if !is_expected {
                return Err(format!("status {answered}"));
            }
            let Some(text) = body else { return Ok(()) };
            if response[len..].windows(text.len().max(1)).any(|window| window == text.as_bytes()) {
                return Ok(());
            }
        }
        let read = match stream.read(&mut piece) {
            Ok(read) => read,
            // A TLS target that closes without saying so has ended its response too.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(words(error)),
        };
        if read == 0 || response.len() > RESPONSE_BYTES_MAX {
            return Err(if head.is_some() { "its body has not the text" } else { "no response" }.into());
        }
        response.extend_from_slice(&piece[..read]);
    }
}

/// The status and the length of the head, once all of it is here.
fn head_of(response: &[u8]) -> Result<Option<(u16, usize)>, String> {
    let mut table = FieldTable::new();
    let head = parse_response(response, &mut HeadScan::default(), &HEAD_LIMITS, &mut table);
    let head = head.map_err(|refusal| refusal.detail)?;
    Ok(head.map(|head| (head.status, head.len)))
}

/// A socket of which all reads and writes end by one deadline.
struct Timed {
    stream: Socket,
    deadline: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        match self.deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(into)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
