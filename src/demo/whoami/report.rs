//! The report of a request, as text or JSON.

use super::request::Head;
use rustls::crypto::hash::Context;
use serde_json::json;
use std::net::SocketAddr;

/// Bytes of the longest body that is shown, if it is text. Length and SHA-256 of every body are shown.
const SHOWN_BYTES_MAX: usize = 4 * 1024;

/// A body that is counted and hashed as it passes. Its beginning is kept.
pub(super) struct Digest {
    bytes: u64,
    hash: Box<dyn Context>,
    shown: Vec<u8>,
}

impl Digest {
    pub(super) fn new() -> Digest {
        // Takes the hash from a cipher suite that TLS to upstreams needs anyway, so no other crate is needed.
        let suite = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
        let suite = suite.tls13().expect("invariant: a TLS 1.3 suite is one");
        Digest { bytes: 0, hash: suite.common.hash_provider.start(), shown: Vec::new() }
    }

    pub(super) fn add(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.hash.update(piece);
        // One byte over the limit tells a body of exactly that length from a longer one.
        let room = (SHOWN_BYTES_MAX + 1).saturating_sub(self.shown.len());
        self.shown.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// The body, if it is short and text.
    fn text(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.shown).ok().filter(|text| text.len() <= SHOWN_BYTES_MAX)?;
        let is_binary = text.contains(|byte: char| byte.is_control() && !matches!(byte, '\t' | '\r' | '\n'));
        (!is_binary).then_some(text)
    }

    fn sha256(&self) -> String {
        self.hash.fork_finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The content of a report.
pub(super) struct Report<'a> {
    pub(super) name: &'a str,
    pub(super) client: SocketAddr,
    pub(super) head: &'a Head,
    pub(super) body: &'a Digest,
    pub(super) trailers: &'a [(String, String)],
}

impl Report<'_> {
    /// The name of this server, then the request as it was received, as far as it is text.
    pub(super) fn text(&self) -> String {
        let Report { name, client, head, body, .. } = self;
        let mut text = format!("Name: {name}\nClient: {client}\n");
        if body.bytes > 0 {
            text += &format!("Body: {} bytes, sha256 {}\n", body.bytes, body.sha256());
        }
        text += &format!("\n{} {} {}\n", head.method, head.target, head.version);
        for (name, value) in &head.fields {
            text += &format!("{name}: {value}\n");
        }
        if let Some(body) = body.text().filter(|body| !body.is_empty()) {
            text += &format!("\n{body}\n");
        }
        if !self.trailers.is_empty() {
            text += "\nTrailers:\n";
        }
        for (name, value) in self.trailers {
            text += &format!("{name}: {value}\n");
        }
        text
    }

    /// The report as one JSON object. Fields are pairs, so that order and repetition are kept.
    pub(super) fn json(&self) -> String {
        let report = json!({
            "name": self.name,
            "client": self.client.to_string(),
            "method": self.head.method,
            "target": self.head.target,
            "version": self.head.version,
            "headers": self.head.fields,
            "body": { "bytes": self.body.bytes, "sha256": self.body.sha256(), "text": self.body.text() },
            "trailers": self.trailers,
        });
        format!("{report}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(body: &[u8]) -> Digest {
        let mut digest = Digest::new();
        body.chunks(3).for_each(|piece| digest.add(piece));
        digest
    }

    #[test]
    fn a_digest_counts_hashes_and_shows_short_text() {
        let abc = digest(b"abcd");
        assert_eq!(abc.sha256(), "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589");
        assert_eq!((abc.bytes, abc.text()), (4, Some("abcd")));
        assert_eq!(digest(b"a\0b").text(), None);
        assert_eq!(digest(b"\xff\xfe").text(), None);
        assert!(digest(&[b'x'; SHOWN_BYTES_MAX]).text().is_some());
        let long = digest(&[b'x'; SHOWN_BYTES_MAX + 9]);
        assert_eq!((long.bytes, long.text()), (SHOWN_BYTES_MAX as u64 + 9, None));
    }

    #[test]
    fn text_ends_in_the_request_as_it_came() {
        let head = Head::parse(b"PUT /x HTTP/1.1\r\nhost: h\r\nA: 1\r\na: 2\r\n\r\n").unwrap();
        let body = digest(b"hello");
        let trailers = [("X-Sum".to_owned(), "1".to_owned())];
        let client = "192.0.2.1:9".parse().unwrap();
        let report = Report { name: "api", client, head: &head, body: &body, trailers: &trailers };
        let text = report.text();
        assert!(text.starts_with("Name: api\nClient: 192.0.2.1:9\nBody: 5 bytes, sha256 2cf24d"), "{text}");
        assert!(
            text.ends_with("\n\nPUT /x HTTP/1.1\nhost: h\nA: 1\na: 2\n\nhello\n\nTrailers:\nX-Sum: 1\n"),
            "{text}"
        );
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["headers"], json!([["host", "h"], ["A", "1"], ["a", "2"]]));
        assert_eq!((&json["body"]["text"], &json["body"]["bytes"]), (&json!("hello"), &json!(5)));
    }
}
