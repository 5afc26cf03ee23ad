//! The parts of one request that placeholders stand for, and how they are written into a text.

use std::fmt;
use std::io::Write;
use std::net::IpAddr;

use super::placeholder::Placeholder;
use crate::http::fields::{Field, Fields};
use crate::http::name::Name;

/// Stars and groups of a rule at most.
pub const CAPTURES_MAX: usize = 16;

/// The byte that stands for `{target}` until the target is known. No other value has it: a parser refuses it in heads
/// (RFC 9110, section 5.5), and so does the reader of the configuration in texts.
pub const TARGET_MARK: u8 = 0;

/// The parts of a host and a path that the stars and groups of a rule have taken.
#[derive(Clone, Copy, Debug)]
pub struct Captures<'a> {
    parts: [&'a [u8]; CAPTURES_MAX],
    count: usize,
}

impl<'a> Captures<'a> {
    /// No parts.
    pub const NONE: Captures<'static> = Captures { parts: [&[]; CAPTURES_MAX], count: 0 };

    /// Adds a part. Those over [`CAPTURES_MAX`] are left out.
    pub fn push(&mut self, part: &'a [u8]) {
        if let Some(place) = self.parts.get_mut(self.count) {
            *place = part;
            self.count += 1;
        }
    }

    /// Leaves this number of parts, and adds empty ones for those that are missing.
    pub fn resize(&mut self, count: usize) {
        let count = count.min(CAPTURES_MAX);
        self.parts[count.min(self.count)..].fill(&[]);
        self.count = count;
    }

    /// The part with this index; empty if there is none.
    pub fn get(&self, index: usize) -> &'a [u8] {
        self.parts.get(index).copied().unwrap_or_default()
    }
}

/// A claim of a user's token, as text in visible ASCII and spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub name: Box<str>,
    /// Its value.
    pub value: Box<[u8]>,
}

/// The parts of one request that placeholders stand for.
#[derive(Clone, Copy, Debug)]
pub struct TemplateValues<'a> {
    /// The method as written.
    pub method: &'a [u8],
    /// The host as rules compare it.
    pub host: &'a [u8],
    /// The host and port as the client sent them.
    pub authority: &'a [u8],
    /// The path as it was received.
    pub path: &'a [u8],
    /// The path behind the prefix of the rule.
    pub rest: &'a [u8],
    /// The query without its question mark.
    pub query: Option<&'a [u8]>,
    /// The field lines.
    pub fields: Fields<'a>,
    /// `http` or `https`, as the client speaks it.
    pub scheme: &'static str,
    /// The address of the client.
    pub client: IpAddr,
    /// The name of the rule.
    pub rule: &'a str,
    /// The time. It is formatted only if a placeholder stands for it.
    pub time: fmt::Arguments<'a>,
    /// The identity of the request; empty if the rule gives none.
    pub request_id: &'a [u8],
    /// The context of the trace; empty if the rule gives none.
    pub traceparent: &'a [u8],
    /// The name of the user; empty if none is known.
    pub user: &'a [u8],
    /// The claims of the user's token.
    pub claims: &'a [Claim],
    /// The parts that the stars and groups of the rule have taken.
    pub captures: Captures<'a>,
}

/// How values are written, so that they cannot end the text that they stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// Bytes as they are.
    No,
    /// For text and attributes in quotes of HTML.
    Html,
    /// For text in quotes of JSON.
    Json,
}

impl Escape {
    /// The escape for a body of this media type. Without a type, a browser may take the body for HTML.
    pub fn of_type(media: Option<&[u8]>) -> Escape {
        let Some(media) = media else { return Escape::Html };
        let essence = media.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let has =
            |text: &str| essence.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text.as_bytes()));
        match () {
            () if has("json") || has("javascript") => Escape::Json,
            () if has("html") || has("xml") || has("svg") => Escape::Html,
            () => Escape::No,
        }
    }

    /// Writes a value. JSON is UTF-8 (RFC 8259, section 8.1): other bytes stand for characters of Latin-1 there.
    pub fn write(self, value: &[u8], out: &mut impl FnMut(&[u8])) {
        match self {
            Escape::No => out(value),
            Escape::Html => self.write_part(value, out),
            Escape::Json => value.utf8_chunks().for_each(|chunk| {
                self.write_part(chunk.valid().as_bytes(), out);
                chunk.invalid().iter().for_each(|byte| out(&json_code(*byte)));
            }),
        }
    }

    fn write_part(self, value: &[u8], out: &mut impl FnMut(&[u8])) {
        let mut plain = 0;
        for (at, byte) in value.iter().enumerate() {
            let code;
            let escaped: &[u8] = match (self, byte) {
                (Escape::Html, b'<') => b"&lt;",
                (Escape::Html, b'>') => b"&gt;",
                (Escape::Html, b'&') => b"&amp;",
                (Escape::Html, b'"') => b"&#34;",
                (Escape::Html, b'\'') => b"&#39;",
                (Escape::Html, b'`') => b"&#96;",
                // A `<` could end a script around the text.
                (Escape::Json, b'"' | b'\\' | b'<' | b'>' | b'&' | b'\'' | 0..=0x1f | 0x7f) => {
                    code = json_code(*byte);
                    &code
                }
                _ => continue,
            };
            out(&value[plain..at]);
            out(escaped);
            plain = at + 1;
        }
        out(&value[plain..]);
    }
}

/// The escape of a character of Latin-1 in JSON.
fn json_code(byte: u8) -> [u8; 6] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [b'\\', b'u', b'0', b'0', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]
}

/// Writes a value as a part of a URL, in which it means nothing (RFC 3986, section 2.3).
pub fn write_percent_encoded(value: &[u8], mut out: impl FnMut(&[u8])) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out(&[*byte]),
            byte => out(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]),
        }
    }
}

impl TemplateValues<'_> {
    /// The parts of the URL of the request.
    fn url(&self) -> [&[u8]; 6] {
        let path = if self.path.starts_with(b"/") { self.path } else { b"/" };
        let mark: &[u8] = if self.query.is_some() { b"?" } else { b"" };
        [self.scheme.as_bytes(), b"://", self.authority, path, mark, self.query.unwrap_or_default()]
    }

    /// Writes the part that a placeholder stands for.
    pub(super) fn write(&self, placeholder: &Placeholder, escape: Escape, out: &mut impl FnMut(&[u8])) {
        let url = self.url();
        let mut put = |bytes: &[u8]| escape.write(bytes, out);
        match placeholder {
            Placeholder::Method => put(self.method),
            Placeholder::Host => put(self.host),
            Placeholder::Path => put(url[3]),
            Placeholder::Rest => put(self.rest),
            Placeholder::Query => put(self.query.unwrap_or_default()),
            Placeholder::Uri => url[3..].iter().for_each(|part| put(part)),
            Placeholder::Url => url.iter().for_each(|part| put(part)),
            Placeholder::EncodedUrl => url.iter().for_each(|part| write_percent_encoded(part, &mut put)),
            Placeholder::Scheme => put(self.scheme.as_bytes()),
            Placeholder::Client => write_short(format_args!("{}", self.client), put),
            Placeholder::Rule => put(self.rule.as_bytes()),
            Placeholder::Time => write_short(self.time, put),
            Placeholder::Target => put(&[TARGET_MARK]),
            Placeholder::RequestId => put(self.request_id),
            Placeholder::Traceparent => put(self.traceparent),
            Placeholder::User => put(self.user),
            Placeholder::Claim(name) => put(claim(self.claims, name).unwrap_or_default()),
            Placeholder::Header(name) => put(self.fields.find(name.as_bytes()).unwrap_or_default()),
            Placeholder::Cookie(name) => put(cookie(self.fields, name.as_bytes()).unwrap_or_default()),
            Placeholder::Capture(index) => put(self.captures.get(*index)),
        }
    }
}

fn claim<'a>(claims: &'a [Claim], name: &str) -> Option<&'a [u8]> {
    claims.iter().find(|claim| *claim.name == *name).map(|claim| &*claim.value)
}

/// Writes a text of at most 45 bytes, which is the longest address.
fn write_short(text: std::fmt::Arguments<'_>, mut put: impl FnMut(&[u8])) {
    let mut bytes = [0; 45];
    let mut left = &mut bytes[..];
    // No longer text is written.
    let _ = left.write_fmt(text);
    let free = left.len();
    put(&bytes[..45 - free]);
}

/// The value of a cookie (RFC 6265, section 4.2.1).
fn cookie<'a>(fields: Fields<'a>, name: &[u8]) -> Option<&'a [u8]> {
    let lines = fields.iter().filter(|field: &Field<'a>| field.known() == Name::Cookie);
    let mut pairs = lines.flat_map(|line| line.value().split(|byte| *byte == b';'));
    pairs.find_map(|pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="))
}
