//! The head of a response whose body may be encoded.

use super::encoder::Encoder;
use crate::config::plan::Compress;
use crate::http::{Name, list_items};

/// The parts of a request and its rule that decide about the coding of the response.
pub struct EncodingRequest<'a> {
    /// The policy of the rule.
    pub compress: &'a Compress,
    /// Whether the client accepts gzip.
    pub accepts_gzip: bool,
    /// Whether the client takes a body in chunks.
    pub takes_chunks: bool,
    /// Whether the method is HEAD, so that no body follows.
    pub is_head: bool,
}

/// The result for a head.
pub enum EncodedHead {
    /// Nothing was written: the head stays as it is.
    Same,
    /// The head was written with changes. The body stays as it is.
    Changed,
    /// The head was written with changes. The body goes through the encoder.
    Encoded(Encoder),
}

/// Fields with a hash of the body as it is sent, or of all codings of it (RFC 9530, RFC 3230).
const DIGESTS: [&[u8]; 4] = [b"content-digest", b"repr-digest", b"digest", b"content-md5"];

/// Decides about the body of a response, and writes its head if that changes. `fields` are the first line and the field
/// lines, each with its end.
pub fn encode_head(fields: &[u8], request: &EncodingRequest<'_>, mut out: impl FnMut(&[u8])) -> EncodedHead {
    let Some(seen) = Seen::of(fields) else { return EncodedHead::Same };
    let accepts = request.accepts_gzip && request.takes_chunks;
    if seen.status == 304 {
        // The response that the client has kept is of either form. A weak tag stands for both.
        write(fields, &seen, Change { is_weak: accepts, coding: None }, &mut out);
        return EncodedHead::Changed;
    }
    if !seen.may_be_encoded(request.compress) {
        return EncodedHead::Same;
    }
    let encoder = Some(())
        .filter(|()| accepts && !request.is_head)
        .and_then(|()| Encoder::take(request.compress.level));
    let is_encoded = encoder.is_some() || accepts && request.is_head;
    let coding = is_encoded.then_some(Coding { has_body: !request.is_head });
    write(fields, &seen, Change { is_weak: is_encoded, coding }, &mut out);
    encoder.map_or(EncodedHead::Changed, EncodedHead::Encoded)
}

/// The parts of a head that decide.
#[derive(Default)]
struct Seen<'h> {
    status: u16,
    media_type: &'h [u8],
    length: Option<u64>,
    /// The body has to stay as it is.
    is_fixed: bool,
    sets_cookie: bool,
    /// Caches know already that the response depends on `Accept-Encoding`.
    varies: bool,
}

impl<'h> Seen<'h> {
    fn of(fields: &'h [u8]) -> Option<Self> {
        let mut lines = lines_of(fields);
        let status =
            lines.next()?.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let mut seen = Self { status: status?, ..Self::default() };
        for (name, value) in lines.map(split) {
            match Name::classify(name) {
                Name::ContentType => seen.media_type = value,
                Name::ContentLength => {
                    seen.length = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
                }
                Name::ContentEncoding | Name::ContentRange => seen.is_fixed = true,
                Name::CacheControl => seen.is_fixed |= has(value, b"no-transform"),
                Name::SetCookie => seen.sets_cookie = true,
                Name::Vary => seen.varies |= has(value, b"accept-encoding") || has(value, b"*"),
                _ => seen.is_fixed |= DIGESTS.iter().any(|digest| digest.eq_ignore_ascii_case(name)),
            }
        }
        Some(seen)
    }

    fn may_be_encoded(&self, compress: &Compress) -> bool {
        self.status == 200
            && !self.is_fixed
            && (!self.sets_cookie || compress.cookies)
            && self.length.is_none_or(|length| length >= compress.min.max(1))
            && compress.takes(self.media_type)
    }
}

/// How a head changes. In each case it says that it depends on `Accept-Encoding`.
struct Change {
    /// A strong tag becomes a weak one, since the bytes differ (RFC 9110, section 8.8.1).
    is_weak: bool,
    coding: Option<Coding>,
}

/// The body is encoded, or would be if the method were GET.
struct Coding {
    has_body: bool,
}

fn write(fields: &[u8], seen: &Seen<'_>, change: Change, out: &mut impl FnMut(&[u8])) {
    let mut varies = seen.varies;
    let mut lines = lines_of(fields);
    out(lines.next().unwrap_or_default());
    for line in lines {
        let (name, value) = split(line);
        match Name::classify(name) {
            Name::Vary if !varies => {
                varies = true;
                [b"Vary: ", value, b", Accept-Encoding\r\n"].into_iter().for_each(&mut *out);
            }
            Name::ContentLength | Name::TransferEncoding if change.coding.is_some() => {}
            // A part of the encoded form cannot be asked for.
            Name::Other if change.coding.is_some() && name.eq_ignore_ascii_case(b"accept-ranges") => {}
            Name::Other
                if change.is_weak && name.eq_ignore_ascii_case(b"etag") && value.starts_with(b"\"") =>
            {
                [b"ETag: W/", value, b"\r\n"].into_iter().for_each(&mut *out);
            }
            _ => out(line),
        }
    }
    if !varies {
        out(b"Vary: Accept-Encoding\r\n");
    }
    if let Some(coding) = change.coding {
        out(b"Content-Encoding: gzip\r\n");
        if coding.has_body {
            out(b"Transfer-Encoding: chunked\r\n");
        }
    }
}

/// The lines of a head, each with its end.
fn lines_of(fields: &[u8]) -> impl Iterator<Item = &[u8]> {
    fields.split_inclusive(|byte| *byte == b'\n')
}

/// Name and value of a field line.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let colon = memchr::memchr(b':', line).unwrap_or(line.len());
    (&line[..colon], line.get(colon + 1..).unwrap_or_default().trim_ascii())
}

/// Whether a list has a word.
fn has(list: &[u8], word: &[u8]) -> bool {
    list_items(list).any(|item| item.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head that becomes of one, and whether the body is encoded.
    fn changed(head: &str, change: impl FnOnce(&mut EncodingRequest<'_>, &mut Compress)) -> (String, bool) {
        let mut compress = Compress::default();
        let other = Compress::default();
        let mut request =
            EncodingRequest { compress: &other, accepts_gzip: true, takes_chunks: true, is_head: false };
        change(&mut request, &mut compress);
        let EncodingRequest { accepts_gzip, takes_chunks, is_head, .. } = request;
        let request = EncodingRequest { compress: &compress, accepts_gzip, takes_chunks, is_head };
        let head = head.replace('\n', "\r\n");
        let mut out = Vec::new();
        let encoded = match encode_head(head.as_bytes(), &request, |bytes| out.extend_from_slice(bytes)) {
            EncodedHead::Same => {
                assert!(out.is_empty());
                return (String::new(), false);
            }
            EncodedHead::Changed => false,
            EncodedHead::Encoded(_) => true,
        };
        (String::from_utf8(out).unwrap().replace("\r\n", "\n"), encoded)
    }

    const HEAD: &str = "HTTP/1.1 200 OK\nETag: \"a\"\nContent-Type: text/html; charset=utf-8\n\
                        Content-Length: 5000\naccept-ranges: bytes\n";
    const PLAIN: &str = "HTTP/1.1 200 OK\nETag: \"a\"\nContent-Type: text/html; charset=utf-8\n\
                         Content-Length: 5000\naccept-ranges: bytes\nVary: Accept-Encoding\n";
    const ENCODED: &str = "HTTP/1.1 200 OK\nETag: W/\"a\"\nContent-Type: text/html; charset=utf-8\n\
                           Vary: Accept-Encoding\nContent-Encoding: gzip\n";

    #[test]
    fn a_head_tells_of_the_coding() {
        let chunked = format!("{ENCODED}Transfer-Encoding: chunked\n");
        assert_eq!(changed(HEAD, |_, _| {}), (chunked, true));
        // HEAD has the fields of GET, but for those of the body.
        assert_eq!(changed(HEAD, |request, _| request.is_head = true), (ENCODED.into(), false));
        // Caches learn that the response depends on the client, even if it is sent as it is.
        assert_eq!(changed(HEAD, |request, _| request.accepts_gzip = false), (PLAIN.into(), false));
        assert_eq!(changed(HEAD, |request, _| request.takes_chunks = false), (PLAIN.into(), false));
        for (before, after) in [
            ("Vary: Origin", "Vary: Origin, Accept-Encoding"),
            ("vary: a, ACCEPT-ENCODING", "vary: a, ACCEPT-ENCODING"),
            ("Vary: *", "Vary: *"),
            ("Vary: a\nVary: accept-encoding", "Vary: a\nVary: accept-encoding"),
        ] {
            let (head, _) = changed(&format!("{HEAD}{before}\n"), |_, _| {});
            assert!(head.contains(&format!("\n{after}\nContent-Encoding")), "{head}");
        }
        let weak = "HTTP/1.1 200 OK\nETag: W/\"a\"\nContent-Type: text/css\n";
        assert!(changed(weak, |_, _| {}).0.contains("\nETag: W/\"a\"\n"));
    }

    #[test]
    fn not_every_body_is_encoded() {
        for more in [
            "Content-Encoding: br",
            "Content-Encoding: identity",
            "Content-Range: bytes 0-1/2",
            "Cache-Control: public, No-Transform",
            "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==",
            "Repr-Digest: sha-256=:AA==:",
            "Set-Cookie: a=b",
        ] {
            assert_eq!(changed(&format!("{HEAD}{more}\n"), |_, _| {}).0, "", "{more}");
        }
        let cookie = format!("{HEAD}Set-Cookie: a=b\n");
        assert!(changed(&cookie, |_, compress| compress.cookies = true).1);
        for status in [201, 206, 204, 404, 500] {
            assert_eq!(changed(&HEAD.replace("200", &status.to_string()), |_, _| {}).0, "", "{status}");
        }
        let of_length =
            |length: &str, min| changed(&HEAD.replace("5000", length), |_, compress| compress.min = min).1;
        assert_eq!([of_length("1023", 1024), of_length("1024", 1024)], [false, true]);
        assert_eq!([of_length("0", 0), of_length("1", 0)], [false, true]);
    }

    #[test]
    fn a_304_has_the_tag_of_the_encoded_form() {
        let head = "HTTP/1.1 304 Not Modified\nETag: \"a\"\n";
        let weak = "HTTP/1.1 304 Not Modified\nETag: W/\"a\"\nVary: Accept-Encoding\n";
        assert_eq!(changed(head, |_, _| {}), (weak.into(), false));
        let strong = "HTTP/1.1 304 Not Modified\nETag: \"a\"\nVary: Accept-Encoding\n";
        assert_eq!(changed(head, |request, _| request.accepts_gzip = false), (strong.into(), false));
    }
}
