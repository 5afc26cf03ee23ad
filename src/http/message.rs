//! Method, version and framing of a message.

/// A request method: one that has a label in the metrics, or any other.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `DELETE`.
    Delete,
    /// `OPTIONS`.
    Options,
    /// `TRACE`.
    Trace,
    /// `PATCH`.
    Patch,
    /// `CONNECT`; never served.
    Connect,
    /// Any other token.
    Other,
}

impl Method {
    /// Every method, in the order of `method as usize`, which indexes tables.
    pub const ALL: &[Method] = &[
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Delete,
        Method::Options,
        Method::Trace,
        Method::Patch,
        Method::Connect,
        Method::Other,
    ];

    /// Parses a method. Methods are case-sensitive (RFC 9110, section 9.1): `get` is `Other`.
    pub fn parse(name: &[u8]) -> Method {
        match name {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"OPTIONS" => Method::Options,
            b"TRACE" => Method::Trace,
            b"PATCH" => Method::Patch,
            b"CONNECT" => Method::Connect,
            _ => Method::Other,
        }
    }

    /// The name as a metric label. Unknown methods share `other`, so that clients cannot add labels.
    pub fn label(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Trace => "TRACE",
            Method::Patch => "PATCH",
            Method::Connect => "CONNECT",
            Method::Other => "other",
        }
    }

    /// Whether two identical requests have the effect of a single one (RFC 9110, section 9.2.2).
    pub fn is_idempotent(self) -> bool {
        match self {
            Method::Get | Method::Head | Method::Put | Method::Delete | Method::Options | Method::Trace => {
                true
            }
            Method::Post | Method::Patch | Method::Connect | Method::Other => false,
        }
    }
}

/// An HTTP version that is served.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

/// The way in which the end of a body is found (RFC 9112, section 6.3).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// This many bytes, at most 2^63-1. `Length(0)` is an announced body of no bytes.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
    /// Everything until the peer closes; responses only.
    UntilClose,
}

impl Framing {
    /// Whether no byte of a body comes behind the head.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }
}

#[cfg(test)]
mod tests {
    use super::Method;

    #[test]
    fn known_methods_are_found_by_their_label_and_nothing_else_is() {
        for (index, &method) in Method::ALL.iter().enumerate() {
            assert_eq!(method as usize, index);
            assert_eq!(Method::parse(method.label().as_bytes()), method);
        }
        for name in [&b"get"[..], b"GE", b"GETT", b"", b"PROPFIND", b"other"] {
            assert_eq!(Method::parse(name), Method::Other);
        }
    }

    #[test]
    fn idempotent_methods_may_be_sent_twice() {
        let safe: Vec<_> =
            Method::ALL.iter().filter(|method| method.is_idempotent()).map(|method| method.label()).collect();
        assert_eq!(safe, ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"]);
    }
}
