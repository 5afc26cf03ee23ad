//! The field names a proxy has to know, told apart once, while a head is parsed.

/// Builds the enum and the table that finds its variants.
macro_rules! names {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// A field name that means something to a proxy, or to whoever stands behind one.
        ///
        /// The table holds everything that frames a message, routes it, lets somebody in, says who
        /// asked, or may not come in a trailer (RFC 9110, section 6.5.1).
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Name {
            $(#[doc = concat!("`", $text, "`.")] $name,)*
            /// Differs from one of those above only by `_` in the place of `-`. A CGI-style server
            /// takes both for the same name, so that one never passes.
            Lookalike,
            /// Any other name.
            Other,
        }

        /// Names in lower case.
        const ROWS: &[(Name, &str)] = &[$((Name::$name, $text),)*];
    };
}

names! {
    Host = "host",
    Connection = "connection",
    KeepAlive = "keep-alive",
    ProxyConnection = "proxy-connection",
    ProxyAuthenticate = "proxy-authenticate",
    ProxyAuthenticationInfo = "proxy-authentication-info",
    ProxyAuthorization = "proxy-authorization",
    ProxyStatus = "proxy-status",
    Proxy = "proxy",
    Te = "te",
    Trailer = "trailer",
    TransferEncoding = "transfer-encoding",
    Upgrade = "upgrade",
    ContentLength = "content-length",
    Expect = "expect",
    XForwardedFor = "x-forwarded-for",
    XForwardedProto = "x-forwarded-proto",
    XForwardedHost = "x-forwarded-host",
    XForwardedPort = "x-forwarded-port",
    XForwardedPrefix = "x-forwarded-prefix",
    XForwardedServer = "x-forwarded-server",
    XForwardedSsl = "x-forwarded-ssl",
    Forwarded = "forwarded",
    XRealIp = "x-real-ip",
    Via = "via",
    Http2Settings = "http2-settings",
    SecWebSocketKey = "sec-websocket-key",
    SecWebSocketAccept = "sec-websocket-accept",
    Accept = "accept",
    UserAgent = "user-agent",
    Referer = "referer",
    Origin = "origin",
    Authorization = "authorization",
    AuthenticationInfo = "authentication-info",
    WwwAuthenticate = "www-authenticate",
    Cookie = "cookie",
    SetCookie = "set-cookie",
    ContentType = "content-type",
    ContentEncoding = "content-encoding",
    ContentRange = "content-range",
    ContentDisposition = "content-disposition",
    Range = "range",
    CacheControl = "cache-control",
    Pragma = "pragma",
    MaxForwards = "max-forwards",
    IfMatch = "if-match",
    IfNoneMatch = "if-none-match",
    IfModifiedSince = "if-modified-since",
    IfUnmodifiedSince = "if-unmodified-since",
    IfRange = "if-range",
    Age = "age",
    Date = "date",
    Expires = "expires",
    Location = "location",
    RetryAfter = "retry-after",
    Vary = "vary",
    Warning = "warning",
    Server = "server",
    AltSvc = "alt-svc",
    StrictTransportSecurity = "strict-transport-security",
}

impl Name {
    /// Finds a name, a token, whatever its case.
    pub fn classify(name: &[u8]) -> Name {
        if name.len() > LONGEST {
            return Name::Other;
        }
        let mut folded = [CASE; FOLDED];
        folded[..name.len()].copy_from_slice(name);
        folded.iter_mut().for_each(|byte| *byte |= CASE);
        let rows =
            &INDEX.order[usize::from(INDEX.starts[name.len()])..usize::from(INDEX.starts[name.len() + 1])];
        for &row in rows {
            if TEXTS[usize::from(row)] == folded {
                return ROWS[usize::from(row)].0;
            }
        }
        let alike = |text: &str| {
            name.iter()
                .zip(text.bytes())
                .all(|(&byte, want)| byte.to_ascii_lowercase() == want || (byte == b'_' && want == b'-'))
        };
        if name.contains(&b'_') && rows.iter().any(|&row| alike(ROWS[usize::from(row)].1)) {
            return Name::Lookalike;
        }
        Name::Other
    }

    /// Whether it speaks of this connection only and never passes a proxy (RFC 9110, section 7.6.1).
    /// `TE` is one of them: a proxy that can take trailers says so for itself.
    pub fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Name::Connection
                | Name::KeepAlive
                | Name::ProxyConnection
                | Name::ProxyAuthenticate
                | Name::ProxyAuthenticationInfo
                | Name::ProxyAuthorization
                | Name::Te
                | Name::Trailer
                | Name::TransferEncoding
                | Name::Upgrade
                | Name::Http2Settings
        )
    }

    /// Whether naming it in `Connection` is without effect: what routes and frames a message, what
    /// says who asked and what they may, and what says how to read the content. A peer who could
    /// have those removed on the way could make the next hop see another message.
    pub(super) fn is_kept_from_connection(self) -> bool {
        matches!(
            self,
            Name::Host
                | Name::ContentLength
                | Name::TransferEncoding
                | Name::XForwardedFor
                | Name::XForwardedProto
                | Name::XForwardedHost
                | Name::XForwardedPort
                | Name::XForwardedPrefix
                | Name::XForwardedServer
                | Name::XForwardedSsl
                | Name::Forwarded
                | Name::XRealIp
                | Name::Via
                | Name::Authorization
                | Name::Cookie
                | Name::SetCookie
                | Name::ContentType
                | Name::ContentEncoding
                | Name::ContentRange
                | Name::CacheControl
        )
    }
}

/// Length of the longest known name.
const LONGEST: usize = {
    let mut longest = 0;
    let mut row = 0;
    while row < ROWS.len() {
        if ROWS[row].1.len() > longest {
            longest = ROWS[row].1.len();
        }
        row += 1;
    }
    longest
};

/// What tells a small letter from a large one. `-` and digits, all that our names have besides, have it
/// anyway, and nothing else that may stand in a token becomes one of them by it.
const CASE: u8 = 0x20;

/// Bytes of a folded name: all in small letters, filled up with [`CASE`]. As many as two or three
/// instructions compare, instead of some for each byte: a twentieth of those of a whole exchange.
const FOLDED: usize = LONGEST.next_multiple_of(16);

/// The texts of the rows, folded.
static TEXTS: [[u8; FOLDED]; ROWS.len()] = {
    let mut texts = [[CASE; FOLDED]; ROWS.len()];
    let mut row = 0;
    while row < ROWS.len() {
        let text = ROWS[row].1.as_bytes();
        let mut at = 0;
        while at < text.len() {
            texts[row][at] = text[at];
            at += 1;
        }
        row += 1;
    }
    texts
};

/// The rows by length of their text, so that a name is compared with the few it could be.
struct Index {
    /// Rows, shortest text first.
    order: [u8; ROWS.len()],
    /// Where in `order` the rows of each length start; one more at the end.
    starts: [u8; LONGEST + 2],
}

static INDEX: Index = {
    let mut index = Index { order: [0; ROWS.len()], starts: [0; LONGEST + 2] };
    let mut filled = 0;
    let mut length = 0;
    while length <= LONGEST {
        index.starts[length] = filled as u8;
        let mut row = 0;
        while row < ROWS.len() {
            if ROWS[row].1.len() == length {
                index.order[filled] = row as u8;
                filled += 1;
            }
            row += 1;
        }
        length += 1;
    }
    index.starts[LONGEST + 1] = filled as u8;
    index
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::class::token_end;

    #[test]
    fn each_row_is_found_in_any_case_and_its_lookalike_is_told_apart() {
        for &(name, text) in ROWS {
            assert_eq!(Name::classify(text.as_bytes()), name);
            assert_eq!(Name::classify(text.to_uppercase().as_bytes()), name);
            assert_eq!(text, text.to_lowercase());
            if text.contains('-') {
                assert_eq!(Name::classify(text.replace('-', "_").as_bytes()), Name::Lookalike, "{text}");
                let once = text.to_uppercase().replacen('-', "_", 1);
                assert_eq!(Name::classify(once.as_bytes()), Name::Lookalike, "{once}");
            }
        }
    }

    /// All that may stand in a token is tried in every place of every name.
    #[test]
    fn a_token_is_the_same_name_where_only_the_case_differs() {
        for &(name, text) in ROWS {
            for at in 0..text.len() {
                for byte in (0..=255).filter(|&byte| token_end(&[byte], 0) == 1) {
                    let mut token = text.as_bytes().to_vec();
                    token[at] = byte;
                    let same = token.eq_ignore_ascii_case(text.as_bytes());
                    assert_eq!(Name::classify(&token) == name, same, "{}", token.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn other_names_stay_other() {
        for name in ["", "x", "hos", "hostt", "x_custom", "x-forwarded-fo_", "x-forwarded+for", "grpc-status"]
        {
            assert_eq!(Name::classify(name.as_bytes()), Name::Other, "{name}");
        }
        assert_eq!(Name::classify(&[b'a'; 1000]), Name::Other);
    }
}
