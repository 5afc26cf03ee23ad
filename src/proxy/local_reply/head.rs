//! The lines that every head of ours has.

use std::io::Write;

use crate::generation::ListenerSnapshot;
use crate::http::{RequestHead, Version, status_phrase};
use crate::worker::Buffer;

/// The methods that are served here; a target may have its own word on them.
pub(super) const ALLOW: &[u8] = b"Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n";

pub(super) fn write_status_line(status: u16, snapshot: &ListenerSnapshot, out: &mut Buffer) {
    write(out, format_args!("HTTP/1.1 {status} {}\r\n", status_phrase(status)));
    snapshot.state.date.write(snapshot.worker(), out);
}

/// What HTTP/1.0 and a client whose connection ends must be told.
pub(super) fn write_connection(head: &RequestHead<'_>, keep: bool, out: &mut Buffer) {
    match (keep, head.version) {
        (false, _) => out.extend(b"Connection: close\r\n"),
        (true, Version::Http10) => out.extend(b"Connection: keep-alive\r\n"),
        (true, Version::Http11) => {}
    }
}

pub(super) fn write(out: &mut Buffer, text: std::fmt::Arguments<'_>) {
    // A buffer in memory takes everything.
    let _ = out.write_fmt(text);
}
