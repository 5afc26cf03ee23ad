//! The field names that a proxy has to know. Each name is classified once, while the head is parsed.

use super::identity::{identifies_client, is_alike};
use crate::http::class;

/// Builds the enum and the table that finds its variants.
macro_rules! names {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// A field name that has a meaning to a proxy, or to a server behind one.
        ///
        /// The table holds all names that frame or route a message, or authenticate or identify the client.
        /// It also holds those that may not come in a trailer (RFC 9110, section 6.5.1).
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Name {
            $(#[doc = concat!("`", $text, "`.")] $name,)*
            /// A name that, apart from marks such as `_` and `.` in place of `-`, is one of those above or
            /// identifies the client. A CGI-style server writes `_` for all marks (RFC 3875, section 4.1.18)
            /// and sees the same name, so a lookalike is never forwarded.
            Lookalike,
            /// Any other name.
            Other,
        }

        /// The known names in lower case.
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
    /// Classifies a name, which is a token in upper or lower case.
    pub fn classify(name: &[u8]) -> Name {
        let known = if name.len() <= LONGEST { Folded::new(name).find() } else { None };
        let unknown = || {
            let lookalike = class::has_mark(name)
                && (ROWS.iter().any(|(_, text)| is_alike(name, text)) || identifies_client(name));
            if lookalike { Name::Lookalike } else { Name::Other }
        };
        known.unwrap_or_else(unknown)
    }

    /// The known name at the start of a field line, and its length, if a colon follows. Such a name is a
    /// token, so its bytes need no check. A name may be missed if hardly any bytes follow it.
    #[inline(always)]
    pub(crate) fn at_start_of(line: &[u8]) -> Option<(Name, usize)> {
        let (mut words, mut mixed) = ([0; WORDS], 0);
        for (at, block) in line.as_chunks().0.iter().take(WORDS).enumerate() {
            let word = u64::from_le_bytes(*block);
            let colons = class::equals(word, b':');
            // Keep all bits below the highest bit of the first colon: the bytes before the colon, and the
            // colon.
            words[at] = fold(word & !colons & colons.wrapping_sub(1));
            mixed = mix(mixed, at, words[at]);
            if colons != 0 {
                let length = at * 8 + colons.trailing_zeros() as usize / 8;
                let row = usize::from(SLOTS[slot(mixed, FACTOR)]);
                // The colon ends both, so there is nothing to compare behind it.
                let is_same = |text: &Folded| (0..=at).all(|word| text.words[word] == words[word]);
                return TEXTS.get(row).filter(|text| is_same(text)).map(|_| (ROWS[row].0, length));
            }
        }
        None
    }

    /// Whether the field is about this connection only, so that a proxy never forwards it (RFC 9110, section
    /// 7.6.1). `TE` is included: a proxy that accepts trailers sends its own.
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

    /// Whether naming the field in `Connection` has no effect. These fields route and frame a message,
    /// identify and authorize the client, or describe the content. A peer that could have them removed could
    /// make the next hop see another message.
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

/// A name in lower case and a colon, in words of eight bytes, padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Folded {
    words: [u64; WORDS],
}

/// Changes capitals among eight bytes to lower case. No other byte becomes one that a known name has.
const fn fold(word: u64) -> u64 {
    word | (word & class::eight(0x40)) >> 1
}

/// Bits of a slot's number. With twice as many as the number of names has, a factor is soon found.
const SLOTS_BITS: u32 = 2 * ROWS.len().ilog2();

/// A factor that gives each name its own slot.
const FACTOR: u64 = {
    let mut factor = 0x9e37_79b9_7f4a_7c15;
    while slots(factor).is_none() {
        factor += 2;
    }
    factor
};

/// The row of each slot; the number of rows if the slot is empty.
static SLOTS: [u8; 1 << SLOTS_BITS] = slots(FACTOR).expect("invariant: `FACTOR` suits all names");

/// The name of each row.
static TEXTS: [Folded; ROWS.len()] = {
    let mut texts = [Folded::NOTHING; ROWS.len()];
    let mut row = 0;
    while row < ROWS.len() {
        texts[row] = Folded::new(ROWS[row].1.as_bytes());
        row += 1;
    }
    texts
};

/// Adds the word at `at` to a mixture. Words of zeros add nothing.
const fn mix(mixed: u64, at: usize, word: u64) -> u64 {
    mixed ^ word.rotate_left(5 * at as u32)
}

/// The slot of the words of a name, mixed.
const fn slot(mixed: u64, factor: u64) -> usize {
    (mixed.wrapping_mul(factor) >> (u64::BITS - SLOTS_BITS)) as usize
}

impl Folded {
    const NOTHING: Folded = Folded { words: [0; WORDS] };

    /// Folds a name of at most [`LONGEST`] bytes.
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
            mixed = mix(mixed, word, self.words[word]);
            word += 1;
        }
        slot(mixed, factor)
    }

    fn find(&self) -> Option<Name> {
        let row = usize::from(SLOTS[self.slot(FACTOR)]);
        (TEXTS.get(row)? == self).then(|| ROWS[row].0)
    }
}

/// Assigns a slot to each row. `None` if two rows have the same slot.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::class::token_end;
    use crate::http::name::identity::is_x_forwarded;

    /// All marks of a token except `-`.
    const MARKS: &str = "!#$%&'*+.^_`|~";

    fn at_start_of(name: &[u8]) -> Option<(Name, usize)> {
        Name::at_start_of(&[name, b": a value"].concat())
    }

    #[test]
    fn each_name_is_found_in_any_case_and_its_lookalike_is_not_taken_for_it() {
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

    /// Tries every byte in every place of every name, and behind it.
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
            assert!(!identifies_client(name.as_bytes()), "{name}");
        }
        assert_eq!(Name::classify(&[b'a'; 1000]), Name::Other);
    }

    #[test]
    fn names_that_identify_the_client_are_known_in_every_mix_of_marks() {
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
                assert!(identifies_client(&name), "{}", name.escape_ascii());
                let is_x_forwarded_name = text.to_lowercase().starts_with("x-forwarded");
                assert_eq!(is_x_forwarded(&name), is_x_forwarded_name, "{}", name.escape_ascii());
                let known = if mix == 0 { Name::Other } else { Name::Lookalike };
                assert_eq!(Name::classify(&name), known, "{}", name.escape_ascii());
            }
        }
    }
}
