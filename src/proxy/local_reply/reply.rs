//! A response of smolgate's own, written and not sent yet.

use std::io::Write;
use std::time::Duration;

use crate::http::status_phrase;
use crate::proxy::client::{Exchange, KeepAlive};
use crate::proxy::edits::edited_response;
use crate::worker::Buffer;

/// How long a client may make no progress with reading a response of smolgate's own.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// The methods that smolgate forwards; a target may take fewer.
pub(super) const ALLOW: &[u8] = b"Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n";

/// The methods of files.
pub(super) const ALLOW_FILES: &[u8] = b"Allow: GET, HEAD\r\n";

/// A response of smolgate's own, written and not sent yet.
pub(in crate::proxy) struct Reply<'a> {
    pub(in crate::proxy) status: u16,
    /// The head, and behind it a short body.
    pub(in crate::proxy) head: Buffer,
    /// A body that is too long to be copied; it belongs to the rule, or to the caller.
    pub(in crate::proxy) body: &'a [u8],
    /// Whether the connection stays open, as the head says.
    pub(in crate::proxy) keep: KeepAlive,
}

impl Reply<'_> {
    /// Begins a response: status line, `Date`, and the fields of policies.
    pub(in crate::proxy) fn new(exchange: &Exchange<'_>, status: u16, keep: KeepAlive) -> Self {
        let worker = exchange.snapshot.worker();
        let mut reply = Self { status, head: worker.buffer(), body: &[], keep };
        reply.write(format_args!("HTTP/1.1 {status} {}\r\n", status_phrase(status)));
        exchange.snapshot.state.date.write(worker, &mut reply.head);
        reply.extend(exchange.record.policies.response_lines());
        reply
    }

    pub(in crate::proxy) fn extend(&mut self, bytes: &[u8]) {
        self.head.extend(bytes);
    }

    pub(in crate::proxy) fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing into a buffer in memory cannot fail.
        let _ = self.head.write_fmt(text);
    }

    /// Ends the head: makes the changes of the rule, and writes whether the connection stays open, and the empty line.
    pub(in crate::proxy) fn end_head(&mut self, exchange: &Exchange<'_>) {
        if let Some(headers) = exchange.record.rule_headers() {
            let is_encrypted = exchange.client.stream.is_encrypted();
            self.head = edited_response(&exchange.record, &self.head, headers, is_encrypted);
        }
        self.extend(self.keep.end_of_head(exchange.request.version));
    }
}
