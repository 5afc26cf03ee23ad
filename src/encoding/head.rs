//! The head of a response whose body may be encoded.

use super::encoder::Encoder;
use super::types::{EncodedHead, EncodingRequest};
use crate::config::plan::{Coding, Compress};
use crate::http::{Name, Version, list_has};

/// Fields with a hash of the body as it is sent, or of all codings of it (RFC 9530, RFC 3230).
const DIGESTS: [&[u8]; 4] = [b"content-digest", b"repr-digest", b"digest", b"content-md5"];

/// Decides about the body of a response, and writes its head if that changes. `fields` are the first line and the field
/// lines, each with its end.
pub fn encode_head(
    fields: &[u8],
    request: &EncodingRequest<'_>,
    mut out: impl FnMut(&[u8]),
) -> EncodedHead<Encoder> {
    let Some(seen) = Seen::of(fields) else { return EncodedHead::Same };
    let full = request.full.and_then(Seen::of);
    if !full.as_ref().unwrap_or(&seen).may_be_encoded(request.compress) {
        return EncodedHead::Same;
    }
    // HTTP/1.0 has no chunks, and without them the end of a connection would be the end of the body.
    let coding = request.coding.filter(|_| request.version != Version::Http10);
    if seen.status == 304 {
        // The tag is that of the 200 (RFC 9110, section 15.4.5). The 304 of a target says too little of it. But the 200
        // was encoded if its tag, which the client names, is weak.
        let is_weak = coding.is_some() && (full.is_some() || request.names_weak_tag);
        write(fields, &seen, Change { is_weak, coding: None, has_chunks: false }, &mut out);
        return EncodedHead::Changed;
    }
    let encoder =
        coding.filter(|_| !request.is_head).and_then(|coding| Encoder::take(coding, request.compress.level));
    let coding = coding.filter(|_| encoder.is_some() || request.is_head);
    let has_chunks = encoder.is_some() && request.version == Version::Http11;
    write(fields, &seen, Change { is_weak: coding.is_some(), coding, has_chunks }, &mut out);
    encoder.map_or(EncodedHead::Changed, EncodedHead::Encoded)
}

/// The parts of a head that decide.
#[derive(Default)]
struct Seen<'h> {
    status: u16,
    media_type: Option<&'h [u8]>,
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
                Name::ContentType => seen.media_type = Some(value),
                Name::ContentLength => {
                    seen.length = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
                }
                Name::ContentEncoding | Name::ContentRange => seen.is_fixed = true,
                Name::CacheControl => seen.is_fixed |= list_has(value, b"no-transform"),
                Name::SetCookie => seen.sets_cookie = true,
                Name::Vary => seen.varies |= list_has(value, b"accept-encoding") || list_has(value, b"*"),
                _ => seen.is_fixed |= DIGESTS.iter().any(|digest| digest.eq_ignore_ascii_case(name)),
            }
        }
        Some(seen)
    }

    /// Whether the body may be encoded. A 304 is judged as the 200 in whose place it stands, and has few of its fields.
    fn may_be_encoded(&self, compress: &Compress) -> bool {
        matches!(self.status, 200 | 304)
            && !self.is_fixed
            && (!self.sets_cookie || compress.cookies)
            && self.length.is_none_or(|length| length >= compress.min.max(1))
            && self.media_type.map_or(self.status == 304, |media_type| compress.takes(media_type))
    }
}

/// How a head changes. In each case it says that it depends on `Accept-Encoding`.
struct Change {
    /// A strong tag becomes a weak one, since the bytes differ (RFC 9110, section 8.8.1).
    is_weak: bool,
    /// The body is encoded, or would be if the method were GET.
    coding: Option<Coding>,
    has_chunks: bool,
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
        [b"Content-Encoding: ", coding.token().as_bytes(), b"\r\n"].into_iter().for_each(&mut *out);
    }
    if change.has_chunks {
        out(b"Transfer-Encoding: chunked\r\n");
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The head that becomes of one, and whether the body is encoded.
    fn changed(head: &str, change: impl FnOnce(&mut EncodingRequest<'_>, &mut Compress)) -> (String, bool) {
        let mut compress = Compress::default();
        let other = Compress::default();
        let mut request = EncodingRequest {
            compress: &other,
            coding: Some(Coding::Gzip),
            version: Version::Http11,
            is_head: false,
            names_weak_tag: false,
            full: None,
        };
        change(&mut request, &mut compress);
        let EncodingRequest { coding, version, is_head, names_weak_tag, full, .. } = request;
        let request = EncodingRequest { compress: &compress, coding, version, is_head, names_weak_tag, full };
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
        // Frames have the length of a body of HTTP/2.
        assert_eq!(changed(HEAD, |request, _| request.version = Version::Http2), (ENCODED.into(), true));
        // HEAD has the fields of GET, but for those of the body.
        assert_eq!(changed(HEAD, |request, _| request.is_head = true), (ENCODED.into(), false));
        // Caches learn that the response depends on the client, even if it is sent as it is.
        assert_eq!(changed(HEAD, |request, _| request.coding = None), (PLAIN.into(), false));
        assert_eq!(changed(HEAD, |request, _| request.version = Version::Http10), (PLAIN.into(), false));
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
    fn a_304_has_the_tag_of_its_200() {
        const BARE: &str = "HTTP/1.1 304 Not Modified\nETag: \"a\"\n";
        const WEAK: &str = "HTTP/1.1 304 Not Modified\nETag: W/\"a\"\nVary: Accept-Encoding\n";
        const STRONG: &str = "HTTP/1.1 304 Not Modified\nETag: \"a\"\nVary: Accept-Encoding\n";
        const IMAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 5000\r\n";
        const SHORT: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9\r\n";
        let full = HEAD.replace('\n', "\r\n");
        let of = |full: Option<&[u8]>, names_weak_tag, coding| {
            let (compress, mut out) = (Compress::default(), Vec::new());
            let (version, is_head) = (Version::Http11, false);
            let request =
                EncodingRequest { compress: &compress, coding, version, is_head, names_weak_tag, full };
            let head = BARE.replace('\n', "\r\n");
            match encode_head(head.as_bytes(), &request, |bytes| out.extend_from_slice(bytes)) {
                EncodedHead::Same => BARE.to_owned(),
                EncodedHead::Changed => String::from_utf8(out).unwrap().replace("\r\n", "\n"),
                EncodedHead::Encoded(_) => panic!("a 304 has no body"),
            }
        };
        let gzip = Some(Coding::Gzip);
        // The 200 of a file is known.
        for names_weak_tag in [false, true] {
            assert_eq!(of(Some(full.as_bytes()), names_weak_tag, gzip), WEAK);
            assert_eq!(of(Some(full.as_bytes()), names_weak_tag, None), STRONG);
            assert_eq!(of(Some(IMAGE), names_weak_tag, gzip), BARE);
            assert_eq!(of(Some(SHORT), names_weak_tag, gzip), BARE);
        }
        // That of a target is known by the tag that the client has of it.
        assert_eq!(of(None, true, gzip), WEAK);
        assert_eq!(of(None, true, None), STRONG);
        assert_eq!(of(None, false, gzip), STRONG);
        let typed =
            |more: &str| changed(&format!("{BARE}{more}\n"), |request, _| request.names_weak_tag = true).0;
        assert!(typed("Content-Type: text/css").contains("W/"));
        assert_eq!(typed("Content-Type: image/png"), "");
        assert_eq!(typed("Cache-Control: no-transform"), "");
    }
}
