//! A strict and simple parser of HTTP/1.1 messages, for judging what was received.

use std::fmt;

use super::show;

/// The framing of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    #[default]
    None,
    /// Ends after this many bytes.
    Length(usize),
    /// Ends after the last chunk.
    Chunked,
    /// Ends with the connection.
    UntilClose,
}

/// A body as it was received.
#[derive(Clone, Default)]
pub struct Body {
    /// The framing.
    pub framing: Framing,
    /// The content, without chunk lines.
    pub bytes: Vec<u8>,
    /// The text after chunk sizes.
    pub extensions: Vec<String>,
    /// Fields after the last chunk.
    pub trailers: Vec<(String, String)>,
    /// The reason why it is incomplete.
    pub fault: Option<String>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.framing, show(&self.bytes))?;
        if !self.trailers.is_empty() {
            write!(f, " trailers {:?}", self.trailers)?;
        }
        self.fault.as_ref().map_or(Ok(()), |fault| write!(f, " FAULT {fault}"))
    }
}

/// A start line and fields. Panics if a head is malformed, because the gate must never send one.
#[derive(Clone)]
pub struct Head {
    /// Every byte, including the empty line.
    pub raw: Vec<u8>,
    /// The first line.
    pub start: String,
    /// Names as received, and values without the surrounding space.
    pub fields: Vec<(String, String)>,
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show(&self.raw))
    }
}

impl Head {
    /// Parses `raw`, which ends with the empty line.
    pub fn parse(raw: Vec<u8>) -> Head {
        let text = &raw[..raw.len() - 4];
        let mut lines = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
            lines.push(&rest[..at]);
            rest = &rest[at + 2..];
        }
        lines.push(rest);
        for line in &lines {
            assert!(
                !line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)),
                "control bytes in {}",
                show(&raw)
            );
        }
        let start = String::from_utf8_lossy(lines[0]).into_owned();
        let fields = lines[1..]
            .iter()
            .map(|line| Head::field(line).unwrap_or_else(|| panic!("an empty line in {}", show(&raw))))
            .collect();
        Head { raw, start, fields }
    }

    /// Parses one field line; `None` for an empty one.
    pub fn field(line: &[u8]) -> Option<(String, String)> {
        if line.is_empty() {
            return None;
        }
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or_else(|| panic!("no colon in {}", show(line)));
        let name = &line[..colon];
        let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        assert!(!name.is_empty() && name.iter().all(token), "not a field name in {}", show(line));
        // Latin-1, so that bytes beyond ASCII can be compared one by one.
        let value: String = line[colon + 1..].iter().map(|byte| char::from(*byte)).collect();
        Some((String::from_utf8_lossy(name).into_owned(), value.trim_matches([' ', '\t']).to_owned()))
    }

    /// Values of the fields `name`, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The value of the only field `name`. Panics if there are two.
    #[track_caller]
    pub fn get(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} is there more than once in {}", show(&self.raw));
        values.first().copied()
    }

    /// Members of the comma-separated lists `name`, over all lines, in lower case.
    pub fn list(&self, name: &str) -> Vec<String> {
        let members = self.all(name).into_iter().flat_map(|value| value.split(','));
        members.map(|member| member.trim().to_ascii_lowercase()).filter(|member| !member.is_empty()).collect()
    }

    /// The framing of a message with this head, if its kind allows a body; `otherwise` if the head has none.
    pub fn framing(&self, otherwise: Framing) -> Framing {
        let length = self.get("content-length");
        match self.list("transfer-encoding").as_slice() {
            [] => length.map_or(otherwise, |length| Framing::Length(length.parse().expect("a length"))),
            [coding] if coding == "chunked" && length.is_none() => Framing::Chunked,
            _ => panic!("unclear framing in {}", show(&self.raw)),
        }
    }
}

/// A request as an upstream received it.
#[derive(Clone, Debug)]
pub struct Request {
    pub head: Head,
    pub body: Body,
    /// Number of the connection on which it came, from 0.
    pub connection: usize,
}

impl Request {
    /// The method.
    pub fn method(&self) -> &str {
        self.head.start.split(' ').next().unwrap_or_default()
    }

    /// The target, byte for byte.
    pub fn target(&self) -> &str {
        self.head.start.split(' ').nth(1).unwrap_or_default()
    }

    /// Whether it is complete.
    pub fn complete(&self) -> bool {
        self.body.fault.is_none()
    }
}

/// A response as a client received it.
#[derive(Clone, Debug)]
pub struct Response {
    pub head: Head,
    pub body: Body,
    /// Interim responses before it.
    pub interim: Vec<Head>,
}

impl Response {
    /// The status code.
    pub fn status(&self) -> u16 {
        status(&self.head)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body.bytes).into_owned()
    }

    /// The value of the only field `name`.
    #[track_caller]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.head.get(name)
    }

    /// The reason code in `Proxy-Status`, for a local reply of the gate.
    pub fn reason(&self) -> Option<&str> {
        let (_, details) = self.get("proxy-status")?.split_once("details=\"")?;
        details.split('"').next()
    }

    /// Fails unless this is a local reply with this status and reason.
    #[track_caller]
    pub fn expect_own(&self, status: u16, reason: &str) {
        assert_eq!((self.status(), self.reason()), (status, Some(reason)), "{self:?}");
        assert_eq!(self.body.fault, None, "{self:?}");
    }

    /// Fails unless this is a complete response with this status and body.
    #[track_caller]
    pub fn expect(&self, status: u16, body: impl AsRef<[u8]>) {
        assert_eq!(self.status(), status, "{self:?}");
        assert_eq!(self.body.fault, None, "{self:?}");
        assert!(
            self.body.bytes == body.as_ref(),
            "body is {}, not {}",
            show(&self.body.bytes),
            show(body.as_ref())
        );
    }
}

/// The status code of a response's head. Panics on a status line that is not strictly HTTP/1.1.
pub fn status(head: &Head) -> u16 {
    let rest = head.start.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("status line {:?}", head.start));
    let (code, _) =
        rest.split_once(' ').unwrap_or_else(|| panic!("no space after the code in {:?}", head.start));
    assert!(
        code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit()),
        "status line {:?}",
        head.start
    );
    code.parse().expect("three digits")
}
