//! The field names a proxy has to know, told apart once, while a head is parsed.

use super::class;

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
            /// Differs from one of those above, or from one that says who asked, only by other marks in the
            /// places of `-`, such as `_` and `.`. A CGI-style server writes `_` for all of them (RFC 3875,
            /// section 4.1.18) and sees the same name, so that this one never passes.
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
        let known = if name.len() <= LONGEST { Folded::new(name).find() } else { None };
        let unknown = || {
            let lookalike = class::has_mark(name)
                && (ROWS.iter().any(|(_, text)| is_alike(name, text)) || says_who_asked(name));
            if lookalike { Name::Lookalike } else { Name::Other }
        };
        known.unwrap_or_else(unknown)
    }

    /// The name that a field line starts with, and its length, if it is one of ours and a colon follows.
    /// So it is a token, and none of its bytes is looked at alone. May miss it where hardly anything follows.
    pub(crate) fn at_start_of(line: &[u8]) -> Option<(Name, usize)> {
        let mut folded = Folded::NOTHING;
        for (at, block) in line.as_chunks().0.iter().take(WORDS).enumerate() {
            let word = u64::from_le_bytes(*block);
            let colons = class::equals(word, b':');
            // What stands below the first hit, which is the highest bit of a colon: the rest of it is kept.
            folded.words[at] = fold(word & !colons & colons.wrapping_sub(1));
            if colons != 0 {
                let length = at * 8 + colons.trailing_zeros() as usize / 8;
                return folded.find().map(|name| (name, length));
            }
        }
        None
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
    pub(crate) fn is_kept_from_connection(self) -> bool {
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

/// Words of eight bytes that the longest name takes, with a colon.
const WORDS: usize = (LONGEST + 1).div_ceil(8);

/// A name in small letters and a colon, in words of eight bytes, filled up with zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Folded {
    words: [u64; WORDS],
}

/// Makes small letters of the capitals in eight bytes. No other byte becomes one that our names have.
const fn fold(word: u64) -> u64 {
    word | (word & class::eight(0x40)) >> 1
}

/// Bits of a slot's number: with twice those of the number of names, a factor is soon found.
const SLOTS_BITS: u32 = 2 * ROWS.len().ilog2();

/// Gives each name a slot of its own.
const FACTOR: u64 = {
    let mut factor = 0x9e37_79b9_7f4a_7c15;
    while slots(factor).is_none() {
        factor += 2;
    }
    factor
};

/// The rows by their slot; in all others the number of rows.
static SLOTS: [u8; 1 << SLOTS_BITS] = slots(FACTOR).expect("invariant: the search for it has ended");

/// The texts of the rows.
static TEXTS: [Folded; ROWS.len()] = {
    let mut texts = [Folded::NOTHING; ROWS.len()];
    let mut row = 0;
    while row < ROWS.len() {
        texts[row] = Folded::new(ROWS[row].1.as_bytes());
        row += 1;
    }
    texts
};

impl Folded {
    const NOTHING: Folded = Folded { words: [0; WORDS] };

    /// Of at most [`LONGEST`] bytes.
    const fn new(name: &[u8]) -> Folded {
        let mut words = [0; WORDS];
        let mut at = 0;
        while at < name.len() {
            words[at / 8] |= (name[at] as u64) << (at % 8 * 8);
            at += 1;
        }
        words[at / 8] |= (b':' as u64) << (at % 8 * 8);
        let mut word = 0;
        while word < WORDS {
            words[word] = fold(words[word]);
            word += 1;
        }
        Folded { words }
    }

    const fn slot(&self, factor: u64) -> usize {
        let mut mixed = 0;
        let mut word = 0;
        while word < WORDS {
            mixed = u64::rotate_left(mixed, 5) ^ self.words[word];
            word += 1;
        }
        (mixed.wrapping_mul(factor) >> (u64::BITS - SLOTS_BITS)) as usize
    }

    fn find(&self) -> Option<Name> {
        let row = usize::from(SLOTS[self.slot(FACTOR)]);
        (TEXTS.get(row)? == self).then(|| ROWS[row].0)
    }
}

/// `None` where two rows would have the same slot.
const fn slots(factor: u64) -> Option<[u8; 1 << SLOTS_BITS]> {
    let mut slots = [ROWS.len() as u8; 1 << SLOTS_BITS];
    let mut row = 0;
    while row < ROWS.len() {
        let slot = Folded::new(ROWS[row].1.as_bytes()).slot(factor);
        if slots[slot] as usize != ROWS.len() {
            return None;
        }
        slots[slot] = row as u8;
        row += 1;
    }
    Some(slots)
}

/// What names begin with that say who asked, over which connection, or for what instead of the target:
/// programs believe them because a proxy, or what checks identities before it, writes them. Some are
/// whole names.
const SAY_WHO_ASKED: &[&str] = &[
    X_FORWARDED,
    "forwarded-",
    "x-original-forwarded-",
    "x-original-host",
    "x-original-method",
    "x-original-ur",
    "x-rewrite-url",
    "x-client-cert",
    "x-client-ip",
    "proxy-client-ip",
    "wl-proxy-client-ip",
    "x-cluster-client-ip",
    "x-remote-",
    "remote-",
    "true-client-",
    "client-cert",
    "client-ip",
    "cf-connecting-",
    "cf-ipcountry",
    "cf-access-",
    "cf-visitor",
    "fastly-client-",
    "fly-client-ip",
    "x-envoy-",
    "x-azure-client",
    "x-azure-socket",
    "x-arr-",
    "x-ms-client-principal",
    "x-amzn-oidc-",
    "x-amzn-mtls-",
    "x-goog-authenticated-user-",
    "x-goog-iap-",
    "x-auth-request-",
    "x-authenticated-",
    "x-authentik-",
    "x-webauth-",
    "x-ssl-client-",
    "ssl-client-",
    "tailscale-user-",
];

/// Begins the names of what only a proxy can know, and is one of them.
const X_FORWARDED: &str = "x-forwarded";

/// Whether a name, in any case and with other marks in places of `-`, says who asked. Looks through a list, and
/// so is for names that are rare.
pub(crate) fn says_who_asked(name: &[u8]) -> bool {
    SAY_WHO_ASKED.iter().any(|text| begins_alike(name, text))
}

/// Whether a name is one of those that begin with [`X_FORWARDED`], in any case and with other marks in places
/// of `-`. [`says_who_asked`] is true of all of them.
pub(crate) fn is_x_forwarded(name: &[u8]) -> bool {
    begins_alike(name, X_FORWARDED)
}

fn begins_alike(name: &[u8], text: &str) -> bool {
    name.get(..text.len()).is_some_and(|start| is_alike(start, text))
}

/// Whether a name is this one, in any case, with other marks in places of `-`.
fn is_alike(name: &[u8], text: &str) -> bool {
    let same = |(byte, want): (&u8, u8)| {
        byte.to_ascii_lowercase() == want || (want == b'-' && class::is_mark(*byte))
    };
    name.len() == text.len() && name.iter().zip(text.bytes()).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::class::token_end;

    /// All marks of a token but for `-`.
    const MARKS: &str = "!#$%&'*+.^_`|~";

    fn at_start_of(name: &[u8]) -> Option<(Name, usize)> {
        Name::at_start_of(&[name, b": a value"].concat())
    }

    #[test]
    fn each_row_is_found_in_any_case_and_its_lookalike_is_told_apart() {
        for &(name, text) in ROWS {
            assert_eq!(Name::classify(text.as_bytes()), name);
            assert_eq!(Name::classify(text.to_uppercase().as_bytes()), name);
            assert_eq!(text, text.to_lowercase());
            assert_eq!(at_start_of(text.as_bytes()), Some((name, text.len())));
            assert_eq!(at_start_of(text.to_uppercase().as_bytes()), Some((name, text.len())));
            for mark in MARKS.chars().filter(|_| text.contains('-')) {
                let all = text.replace('-', &mark.to_string());
                assert_eq!(Name::classify(all.as_bytes()), Name::Lookalike, "{all}");
                let once = text.to_uppercase().replacen('-', &mark.to_string(), 1);
                assert_eq!(Name::classify(once.as_bytes()), Name::Lookalike, "{once}");
            }
        }
    }

    /// Every byte is tried in every place of every name, and behind it.
    #[test]
    fn a_name_is_the_same_where_only_the_case_differs() {
        for &(name, text) in ROWS {
            for at in 0..=text.len() {
                for byte in 0..=255 {
                    let mut other = text.as_bytes().to_vec();
                    other.splice(at..(at + 1).min(text.len()), [byte]);
                    let same = other.eq_ignore_ascii_case(text.as_bytes());
                    let found = at_start_of(&other) == Some((name, text.len()));
                    let ends = at == text.len() && byte == b':';
                    assert_eq!(found, same || ends, "{}", other.escape_ascii());
                    if token_end(&[byte], 0) == 1 {
                        assert_eq!(Name::classify(&other) == name, same, "{}", other.escape_ascii());
                    }
                }
            }
        }
    }

    #[test]
    fn a_line_starts_with_a_name_only_if_a_colon_follows() {
        for line in [&b""[..], b":", b": value of nothing", b"host", b"host value: 1", b"x: host: 1234567"] {
            assert_eq!(Name::at_start_of(line), None, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn other_names_stay_other() {
        for name in [
            "",
            "x",
            "hos",
            "hostt",
            "x_custom",
            "x-forwarde",
            "xx-forwarded-for",
            "x--forwarded-for",
            "content.len+gth",
            "grpc-status",
            "x_auth",
        ] {
            assert_eq!(Name::classify(name.as_bytes()), Name::Other, "{name}");
            assert!(!says_who_asked(name.as_bytes()), "{name}");
        }
        assert_eq!(Name::classify(&[b'a'; 1000]), Name::Other);
    }

    #[test]
    fn names_that_say_who_asked_are_known_in_every_mix_of_marks() {
        let names = [
            "x-forwarded-user",
            "X-Forwarded-Groups",
            "X-Forwarded",
            "true-client-ip",
            "CF-Connecting-IP",
            "remote-user",
            "Forwarded-For",
        ];
        for (text, mark) in names.iter().flat_map(|text| MARKS.bytes().map(move |mark| (text, mark))) {
            let dashes: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
            for mix in 0..1 << dashes.len() {
                let mut name = text.as_bytes().to_vec();
                for (_, at) in dashes.iter().enumerate().filter(|(bit, _)| mix >> bit & 1 == 1) {
                    name[*at] = mark;
                }
                assert!(says_who_asked(&name), "{}", name.escape_ascii());
                let is_x_forwarded_name = text.to_lowercase().starts_with("x-forwarded");
                assert_eq!(is_x_forwarded(&name), is_x_forwarded_name, "{}", name.escape_ascii());
                let known = if mix == 0 { Name::Other } else { Name::Lookalike };
                assert_eq!(Name::classify(&name), known, "{}", name.escape_ascii());
            }
        }
    }
}
