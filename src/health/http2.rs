//! HTTP/2 for a check: one request over a blocking connection, written and read in the HTTP/1.1 form.

use std::io::{self, Read, Write};
use std::time::Instant;

use crate::http::{FieldTable, HeadLimits};
use crate::http1::{HeadScan, parse_request};
use crate::http2::{
    Connection, Event, Limits, Literals, RequestKind, WindowBudget, Workspace, encode_request,
};

/// Whether checks speak HTTP/2.
pub(super) const SPEAKS_HTTP2: bool = true;

const LIMITS: Limits = Limits {
    streams: 1,
    head: HeadLimits { bytes: 64 * 1024, fields: 256, target: 64 * 1024 },
    extended_connect: false,
};

/// Bytes that windows may grow by. A check reads 64 KiB at most.
const WINDOW_BYTES: u32 = 64 * 1024;

const LITERALS: Literals = Literals { huffman: false, never_indexed: false };

/// The beginning of the form of an interim response, which says nothing about a target.
const INTERIM: &[u8] = b"HTTP/1.1 1";

/// A connection of HTTP/2 with one stream.
pub(super) struct Http2<'s, S> {
    stream: &'s mut S,
    scheme: &'static [u8],
    engine: Connection,
    workspace: Workspace,
    input: Vec<u8>,
    output: Vec<u8>,
    /// A part of the response that was not read yet.
    response: Vec<u8>,
    has_ended: bool,
}

/// Begins to speak HTTP/2 over a connection.
pub(super) fn http2<S: Read + Write>(stream: &mut S, is_encrypted: bool) -> Http2<'_, S> {
    let mut output = Vec::new();
    let engine = Connection::client(&LIMITS, &WindowBudget::new(WINDOW_BYTES), Instant::now(), &mut output);
    let scheme: &[u8] = if is_encrypted { b"https" } else { b"http" };
    let (workspace, input, response) = Default::default();
    Http2 { stream, scheme, engine, workspace, input, output, response, has_ended: false }
}

impl<S: Read + Write> Http2<'_, S> {
    /// Takes the frames that came.
    fn receive(&mut self) -> io::Result<()> {
        let mut used = 0;
        loop {
            let rest = &self.input[used..];
            let received = self.engine.receive(rest, Instant::now(), &mut self.workspace, &mut self.output);
            let Some(received) = received.map_err(io::Error::other)? else { break };
            match received.event {
                Event::Head { ended, .. } => {
                    if !self.workspace.head().starts_with(INTERIM) {
                        self.response.extend_from_slice(self.workspace.head());
                    }
                    self.has_ended |= ended;
                }
                Event::Data { stream, data, ended } => {
                    self.response.extend_from_slice(&rest[data.clone()]);
                    self.engine.release_capacity(stream, data.len(), &mut self.output);
                    self.has_ended |= ended;
                }
                Event::Trailers { .. } => self.has_ended = true,
                Event::Fault { detail, .. } => return Err(io::Error::other(detail)),
                Event::Refused { .. } => return Err(io::Error::other("the head is too large")),
                Event::Reset { code, .. } if !self.has_ended => return Err(io::Error::other(code.label())),
                Event::Reset { .. }
                | Event::Handled
                | Event::Capacity(_)
                | Event::Settings
                | Event::GoAway { .. }
                | Event::Pong(_) => {}
            }
            used += received.bytes;
        }
        self.input.drain(..used);
        self.flush()
    }
}

impl<S: Read + Write> Write for Http2<'_, S> {
    /// Takes the head of the request, which is whole and has no body.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (mut table, mut block) = (FieldTable::new(), Vec::new());
        let head = parse_request(bytes, &mut HeadScan::default(), &LIMITS.head, &mut table).ok().flatten();
        let head = head.ok_or(io::ErrorKind::InvalidInput)?;
        let host = head.host.as_ref().map_or(&b""[..], |host| host.as_bytes());
        encode_request(&head, self.scheme, host, None, LITERALS, |_| true, &mut block);
        let kind = if head.method == b"HEAD" { RequestKind::Head } else { RequestKind::Plain };
        let opened = self.engine.open(&block, kind, true, &mut self.output);
        opened.map_err(|_| io::ErrorKind::NotConnected)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.output)?;
        self.output.clear();
        self.stream.flush()
    }
}

impl<S: Read + Write> Read for Http2<'_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut piece = [0; 4096];
        while self.response.is_empty() && !self.has_ended {
            let read = self.stream.read(&mut piece)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.input.extend_from_slice(&piece[..read]);
            self.receive()?;
        }
        let taken = into.len().min(self.response.len());
        into[..taken].copy_from_slice(&self.response[..taken]);
        self.response.drain(..taken);
        Ok(taken)
    }
}
