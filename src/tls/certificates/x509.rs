//! The facts of a certificate that are needed to serve or to trust it: its names, and when it is valid.
//!
//! The parser walks over DER (RFC 5280, section 4.1) and reads no more than that. It judges nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OCTET_STRING: u8 = 0x04;
const BOOLEAN: u8 = 0x01;
const BIT_STRING: u8 = 0x03;
const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, the version; `[3]`, the extensions.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
/// 2.5.29.17, 2.5.29.19 and 2.5.29.37.
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 0x13];
const EXTENDED_KEY_USAGE: [u8; 3] = [0x55, 0x1d, 0x25];
/// 2.5.29.35, and the `[0]` in it: the identifier of the authority's key.
const AUTHORITY_KEY: [u8; 3] = [0x55, 0x1d, 0x23];
const KEY_IDENTIFIER: u8 = 0x80;
/// 2.5.29.37.0, 1.3.6.1.5.5.7.3.1 and 1.3.6.1.5.5.7.3.2.
const ANY_USE: [u8; 4] = [0x55, 0x1d, 0x25, 0x00];
const SERVER_AUTH: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const CLIENT_AUTH: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
/// `[2]` and `[7]` of a GeneralName.
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;

/// The names, the validity and the key of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::tls) struct CertificateInfo {
    /// The last commonName of the subject.
    pub(in crate::tls) common_name: Option<String>,
    /// DNS names of the subject, in lower case; a wildcard as `*.example.com`.
    pub(in crate::tls) names: Vec<String>,
    /// Addresses of the subject.
    pub(in crate::tls) addresses: Vec<IpAddr>,
    /// The start of the validity, in seconds since 1970.
    pub(in crate::tls) not_before: i64,
    /// The end of the validity, in seconds since 1970.
    pub(in crate::tls) not_after: i64,
    /// The SubjectPublicKeyInfo, in DER.
    pub(in crate::tls) public_key: Box<[u8]>,
    /// The serial number, as its bytes in DER.
    pub(in crate::tls) serial: Box<[u8]>,
    /// The identifier of the authority's key, if it is there.
    pub(in crate::tls) authority_key: Option<Box<[u8]>>,
    /// Whether it is marked as an authority.
    pub(in crate::tls) is_authority: bool,
    pub(in crate::tls) uses: Uses,
}

/// The uses that an extendedKeyUsage allows. Without one, both are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tls) struct Uses {
    pub(in crate::tls) server: bool,
    pub(in crate::tls) client: bool,
}

impl CertificateInfo {
    /// Whether the certificate is valid at a time, in seconds since 1970.
    pub(super) fn are_valid_at(&self, time: i64) -> bool {
        (self.not_before..=self.not_after).contains(&time)
    }
}

/// Reads a certificate in DER; `None` if it is none.
pub(in crate::tls) fn read(der: &[u8]) -> Option<CertificateInfo> {
    let mut certificate = Der(Der(der).value(SEQUENCE)?);
    let mut body = Der(certificate.value(SEQUENCE)?);
    body.optional(VERSION)?;
    let serial = body.next()?.1.into();
    // Algorithm, issuer.
    for _ in 0..2 {
        body.next()?;
    }
    let mut validity = Der(body.value(SEQUENCE)?);
    let (not_before, not_after) = (time(validity.next()?)?, time(validity.next()?)?);
    let common_name = common_name(body.value(SEQUENCE)?);
    let public_key = body.whole(SEQUENCE)?.into();
    let mut info = CertificateInfo {
        common_name,
        names: Vec::new(),
        addresses: Vec::new(),
        not_before,
        not_after,
        public_key,
        serial,
        authority_key: None,
        is_authority: false,
        uses: Uses { server: true, client: true },
    };
    while !body.0.is_empty() {
        let (tag, value) = body.next()?;
        if tag == EXTENSIONS {
            let mut extensions = Der(Der(value).value(SEQUENCE)?);
            while !extensions.0.is_empty() {
                read_extension(extensions.value(SEQUENCE)?, &mut info)?;
            }
        }
    }
    Some(info)
}

/// The algorithm and the bits of a SubjectPublicKeyInfo.
pub(in crate::tls) fn public_key(info: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut info = Der(Der(info).value(SEQUENCE)?);
    // The first byte counts unused bits, of which a key has none.
    Some((info.value(SEQUENCE)?, info.value(BIT_STRING)?.strip_prefix(&[0])?))
}

fn common_name(subject: &[u8]) -> Option<String> {
    let mut found = None;
    let mut parts = Der(subject);
    while !parts.0.is_empty() {
        let mut part = Der(Der(parts.value(SET)?).value(SEQUENCE)?);
        if part.value(OBJECT)? == COMMON_NAME {
            found = std::str::from_utf8(part.next()?.1).ok().map(str::to_owned);
        }
    }
    found
}

fn read_extension(extension: &[u8], info: &mut CertificateInfo) -> Option<()> {
    let mut extension = Der(extension);
    let id = extension.value(OBJECT)?;
    extension.optional(BOOLEAN)?;
    let value = extension.value(OCTET_STRING)?;
    if id == SUBJECT_ALT_NAME {
        read_names(value, info)
    } else if id == BASIC_CONSTRAINTS {
        let mut constraints = Der(Der(value).value(SEQUENCE)?);
        // The mark is the first value. It is false if left out.
        info.is_authority = constraints.value(BOOLEAN).is_some_and(|mark| mark != [0]);
        Some(())
    } else if id == AUTHORITY_KEY {
        let key = Der(Der(value).value(SEQUENCE)?).value(KEY_IDENTIFIER);
        info.authority_key = key.map(Box::from);
        Some(())
    } else if id == EXTENDED_KEY_USAGE {
        info.uses = uses(value)?;
        Some(())
    } else {
        Some(())
    }
}

fn uses(value: &[u8]) -> Option<Uses> {
    let mut uses = Uses { server: false, client: false };
    let mut all = Der(Der(value).value(SEQUENCE)?);
    while !all.0.is_empty() {
        let id = all.value(OBJECT)?;
        uses.server |= id == ANY_USE || id == SERVER_AUTH;
        uses.client |= id == ANY_USE || id == CLIENT_AUTH;
    }
    Some(uses)
}

fn read_names(value: &[u8], info: &mut CertificateInfo) -> Option<()> {
    let mut names = Der(Der(value).value(SEQUENCE)?);
    while !names.0.is_empty() {
        match names.next()? {
            (DNS_NAME, name) => {
                let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
                info.names.push(name.trim_end_matches('.').to_owned());
            }
            (IP_ADDRESS, bytes) => {
                let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| IpAddr::from(Ipv4Addr::from(bytes)));
                let v6 = || <[u8; 16]>::try_from(bytes).map(|bytes| IpAddr::from(Ipv6Addr::from(bytes)));
                info.addresses.extend(v4.or_else(|_| v6()).ok());
            }
            _ => {}
        }
    }
    Some(())
}

/// Reads a time: `YYMMDDHHMMSSZ` up to 2049, `YYYYMMDDHHMMSSZ` from then on (RFC 5280, section 4.1.2.5).
fn time((tag, text): (u8, &[u8])) -> Option<i64> {
    let text = text.strip_suffix(b"Z")?;
    let digits: Vec<i64> = text
        .iter()
        .map(|byte| byte.is_ascii_digit().then(|| i64::from(byte - b'0')))
        .collect::<Option<_>>()?;
    let pair = |at: usize| Some(digits.get(at)? * 10 + digits.get(at + 1)?);
    let (year, at) = match tag {
        UTC_TIME if digits.len() == 12 => match pair(0)? {
            year @ 50.. => (1900 + year, 2),
            year => (2000 + year, 2),
        },
        GENERALIZED_TIME if digits.len() == 14 => (pair(0)? * 100 + pair(2)?, 4),
        _ => return None,
    };
    let (month, day) = (pair(at)?, pair(at + 2)?);
    let (hour, minute, second) = (pair(at + 4)?, pair(at + 6)?, pair(at + 8)?);
    let sound = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    sound.then(|| days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from March, so that
/// the leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// Values that were not read yet.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Tag and content of the next value (X.690, section 8.1): one byte of tag, definite length.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, length], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(length), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// The next value with its tag and length.
    fn whole(&mut self, tag: u8) -> Option<&'a [u8]> {
        let from = self.0;
        self.value(tag)?;
        Some(&from[..from.len() - self.0.len()])
    }

    /// Skips a value that may be left out.
    fn optional(&mut self, tag: u8) -> Option<()> {
        if self.0.first() == Some(&tag) { self.next().map(|_| ()) } else { Some(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType, date_time_ymd};

    fn certificate() -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["A.test".into(), "*.b.test".into()]).unwrap();
        params.subject_alt_names.push(SanType::IpAddress("192.0.2.7".parse().unwrap()));
        params.subject_alt_names.push(SanType::IpAddress("2001:db8::1".parse().unwrap()));
        params.not_before = date_time_ymd(2024, 2, 29);
        params.not_after = date_time_ymd(2051, 3, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn names_addresses_and_times_are_read() {
        let info = read(&certificate()).unwrap();
        assert_eq!(info.names, ["a.test", "*.b.test"]);
        assert_eq!(info.addresses, ["192.0.2.7".parse::<IpAddr>().unwrap(), "2001:db8::1".parse().unwrap()]);
        // 2024 is a UTCTime, 2051 a GeneralizedTime.
        assert_eq!((info.not_before, info.not_after), (1_709_164_800, 2_561_241_600));
    }

    #[test]
    fn a_certificate_that_is_cut_off_is_none_and_causes_no_panic() {
        let der = certificate();
        for end in 0..der.len() {
            assert_eq!(read(&der[..end]), None, "cut at {end}");
        }
        for at in 0..der.len() {
            for byte in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut bad = der.clone();
                bad[at] = byte;
                let _ = read(&bad);
            }
        }
    }

    #[test]
    fn invalid_times_are_refused() {
        for text in ["240230120000", "2402301200Z", "241301000000Z", "240101240000Z", "24010100000aZ", ""] {
            assert_eq!(time((UTC_TIME, text.as_bytes())), None, "{text}");
        }
        assert_eq!(time((UTC_TIME, b"700101000000Z")), Some(0));
        assert_eq!(time((UTC_TIME, b"491231235959Z")), Some(2_524_607_999));
    }
}
