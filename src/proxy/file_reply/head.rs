//! Heads of responses of `files`.

use std::ops::Range;
use std::time::SystemTime;

use super::request::FileRequest;
use crate::file_server::range::{Part, part};
use crate::file_server::{Evaluation, FoundFile};
use crate::proxy::client::Exchange;
use crate::proxy::local_reply::Reply;

/// The response for a file, with its whole head, and the bytes of the file that follow it.
pub(super) fn file(
    exchange: &Exchange<'_>,
    request: &FileRequest,
    file: &FoundFile,
) -> (Reply<'static>, Range<u64>) {
    let (status, bytes) = match file.validators.check(&request.conditions) {
        Evaluation::Failed => (412, 0..0),
        Evaluation::NotModified => (304, 0..0),
        Evaluation::Holds => match wanted_part(request, file) {
            Part::Whole => (200, 0..file.length),
            Part::Bytes(bytes) => (206, bytes),
            Part::Unsatisfiable => (416, 0..0),
        },
    };
    (with_status(exchange, request, file, status, &bytes), bytes)
}

/// The head of the 200 for a file.
pub(super) fn full(exchange: &Exchange<'_>, request: &FileRequest, file: &FoundFile) -> Reply<'static> {
    with_status(exchange, request, file, 200, &(0..file.length))
}

fn with_status(
    exchange: &Exchange<'_>,
    request: &FileRequest,
    file: &FoundFile,
    status: u16,
    bytes: &Range<u64>,
) -> Reply<'static> {
    let mut reply = Reply::new(exchange, status, exchange.keep_alive());
    match status {
        412 => reply.extend(b"Content-Length: 0\r\n"),
        416 => reply.write(format_args!("Content-Range: bytes */{}\r\nContent-Length: 0\r\n", file.length)),
        304 => write_validity(&mut reply, request, file),
        _ => {
            write_content(&mut reply, file, bytes, status == 206);
            write_validity(&mut reply, request, file);
        }
    }
    reply.end_head(exchange);
    reply
}

fn wanted_part(request: &FileRequest, file: &FoundFile) -> Part {
    match &request.range {
        Some(range) if file.validators.allows_range(&request.conditions, SystemTime::now()) => {
            part(range, file.length)
        }
        _ => Part::Whole,
    }
}

fn write_content(reply: &mut Reply<'_>, file: &FoundFile, bytes: &Range<u64>, is_part: bool) {
    let (media_type, length) = (file.media_type, bytes.end - bytes.start);
    reply.write(format_args!(
        "Content-Type: {media_type}\r\nContent-Length: {length}\r\nAccept-Ranges: bytes\r\n"
    ));
    if is_part {
        let (first, last) = (bytes.start, bytes.end - 1);
        reply.write(format_args!("Content-Range: bytes {first}-{last}/{}\r\n", file.length));
    }
    if let Some(date) = file.validators.last_modified() {
        reply.write(format_args!("Last-Modified: {date}\r\n"));
    }
    if let Some(coding) = file.coding {
        reply.write(format_args!("Content-Encoding: {}\r\n", coding.token()));
    }
    // A browser that guesses types would run a text of a user as a script.
    reply.extend(NO_SNIFFING);
}

/// Fields that a 304 has too (RFC 9110, section 15.4.5).
fn write_validity(reply: &mut Reply<'_>, request: &FileRequest, file: &FoundFile) {
    if let Some(tag) = file.validators.tag() {
        reply.write(format_args!("ETag: {tag}\r\n"));
    }
    if file.is_entrance {
        reply.extend(NO_CACHE);
    } else if file.is_immutable {
        reply.extend(b"Cache-Control: public, max-age=31536000, immutable\r\n");
    }
    match (request.wanted.files.precompressed.is_empty(), file.is_fallback) {
        (true, false) => {}
        (true, true) => reply.extend(b"Vary: Accept\r\n"),
        (false, false) => reply.extend(b"Vary: Accept-Encoding\r\n"),
        (false, true) => reply.extend(b"Vary: Accept, Accept-Encoding\r\n"),
    }
}

const NO_SNIFFING: &[u8] = b"X-Content-Type-Options: nosniff\r\n";
const NO_CACHE: &[u8] = b"Cache-Control: no-cache\r\n";

/// The redirect from a folder to its path with a slash.
pub(super) fn folder(exchange: &Exchange<'_>, request: &FileRequest) -> Reply<'static> {
    let mut reply = Reply::new(exchange, 308, exchange.keep_alive());
    reply.extend(b"Location: ");
    reply.extend(&request.location);
    reply.extend(b"\r\nContent-Length: 0\r\n");
    reply.end_head(exchange);
    reply
}

/// The head for a page that lists a folder.
pub(super) fn listing(
    exchange: &Exchange<'_>,
    media_type: &str,
    length: usize,
    policy: &str,
) -> Reply<'static> {
    let mut reply = Reply::new(exchange, 200, exchange.keep_alive());
    reply.write(format_args!(
        "Content-Type: {media_type}\r\nContent-Length: {length}\r\nContent-Security-Policy: {policy}\r\nVary: Accept\r\n"
    ));
    reply.extend(NO_CACHE);
    reply.extend(NO_SNIFFING);
    reply.end_head(exchange);
    reply
}
