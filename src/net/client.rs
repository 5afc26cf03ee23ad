//! One request and its response, within limits.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;
use rustls::ClientConfig;
use smol::Timer;

use super::connection::Connection;
use super::url::Url;
use crate::http::{FieldTable, HeadLimits, Method};
use crate::http1::{BodyReader, HeadScan, parse_response};

/// The time for a whole request: connection, TLS, request, response.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Bytes of the longest body. A chain of certificates has some kilobytes.
const BODY_BYTES_MAX: usize = 1 << 20;
const HEAD_LIMITS: HeadLimits = HeadLimits { bytes: 32 << 10, fields: 100, target: 0 };

/// Sends requests. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    tls: Arc<ClientConfig>,
    agent: Arc<str>,
    /// The address to connect to, whatever the URL says.
    address: Option<SocketAddr>,
}

/// A request.
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The address.
    pub url: &'a Url,
    /// More fields. A value with a line end is refused.
    pub fields: &'a [(&'a str, &'a str)],
    /// `Content-Type` and the body of a POST.
    pub body: Option<(&'a str, &'a [u8])>,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of the first field with this name, if it is text.
    pub fn field(&self, name: &str) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))?;
        std::str::from_utf8(value).ok()
    }
}

impl Client {
    /// A client that checks servers as `tls` says.
    pub fn new(tls: Arc<ClientConfig>) -> Self {
        Self { tls, agent: concat!("smolgate/", env!("CARGO_PKG_VERSION")).into(), address: None }
    }

    /// A client that connects to this address alone, whatever host a URL names.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self { address: Some(address), ..self.clone() }
    }

    /// Sends a request on a connection of its own and reads the whole response. Redirects are not followed.
    ///
    /// # Errors
    /// The server cannot be reached, is not the one that it should be, or sends no valid response in time and
    /// within the limits.
    pub async fn send(&self, request: Request<'_>) -> io::Result<Answer> {
        let late = async {
            Timer::after(TIME_MAX).await;
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no whole response within {TIME_MAX:?}")))
        };
        self.exchange(request).or(late).await
    }

    async fn exchange(&self, request: Request<'_>) -> io::Result<Answer> {
        let Request { method, url, fields, body } = &request;
        if fields.iter().any(|(_, value)| value.bytes().any(|byte| byte.is_ascii_control())) {
            return Err(invalid("a field of the request is not valid"));
        }
        let mut connection = Connection::open(url, self.address, &self.tls).await?;
        let mut head = format!("{} {} HTTP/1.1\r\n", method.label(), url.target());
        // Writing to a String cannot fail.
        let _ = write!(head, "Host: {}\r\nUser-Agent: {}\r\nAccept: */*\r\n", url.authority(), self.agent);
        if let Some((kind, body)) = body {
            let _ = write!(head, "Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
        }
        for (name, value) in *fields {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("Connection: close\r\n\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body.map(|(_, body)| body).unwrap_or_default());
        connection.send(&bytes).await?;
        read(&mut connection, *method).await
    }
}

/// Reads a response, after those of class 1xx.
async fn read(connection: &mut Connection, method: Method) -> io::Result<Answer> {
    let (mut bytes, mut scan, mut table) = (Vec::new(), HeadScan::default(), FieldTable::new());
    loop {
        let parsed = parse_response(&bytes, &mut scan, &HEAD_LIMITS, &mut table);
        let head =
            parsed.map_err(|refusal| invalid(&format!("the response is not valid: {}", refusal.detail)))?;
        let Some(head) = head else {
            fill(connection, &mut bytes).await?;
            continue;
        };
        let framing = head.framing(method).ok_or_else(|| invalid("the response has two lengths"))?;
        let len = head.len;
        let fields = head.fields.iter().map(|field| (field.name().to_vec(), field.value().to_vec()));
        let answer = Answer { status: head.status, fields: fields.collect(), body: Vec::new() };
        bytes.drain(..len);
        if (100..200).contains(&answer.status) {
            scan = HeadScan::default();
            continue;
        }
        let body = read_body(connection, bytes, BodyReader::new(framing)).await?;
        return Ok(Answer { body, ..answer });
    }
}

async fn read_body(
    connection: &mut Connection,
    mut raw: Vec<u8>,
    mut reader: BodyReader,
) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let decoded = reader.decode(&mut raw).map_err(|error| invalid(error.explain()))?;
        body.extend_from_slice(&raw[decoded.data]);
        raw.drain(..decoded.consumed);
        if body.len() > BODY_BYTES_MAX {
            return Err(invalid("the response is larger than 1MiB"));
        }
        if decoded.done {
            return Ok(body);
        }
        if let Err(error) = fill(connection, &mut raw).await {
            // Only the end of a body without a length is no error.
            let ended = error.kind() == io::ErrorKind::UnexpectedEof && reader.finish().is_ok();
            return if ended { Ok(body) } else { Err(error) };
        }
    }
}

/// Reads once. The end is an error.
async fn fill(connection: &mut Connection, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut some = [0; 8 * 1024];
    match connection.receive(&mut some).await? {
        0 => {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed before the response"))
        }
        count => {
            bytes.extend_from_slice(&some[..count]);
            Ok(())
        }
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
