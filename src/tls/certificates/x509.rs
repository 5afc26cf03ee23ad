//! The facts of a certificate that are needed to serve it: its names, and when it is valid.
//!
//! The parser walks over DER (RFC 5280, section 4.1) and reads no more than that. It judges nothing: the
//! client verifies the certificate, and rustls checks that the key fits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
const BOOLEAN: u8 = 0x01;
const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, the version; `[3]`, the extensions.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// 2.5.29.17.
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];
/// `[2]` and `[7]` of a GeneralName.
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;

/// The names and the validity of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CertificateInfo {
    /// DNS names of the subject, in lower case; a wildcard as `*.example.com`.
    pub(super) names: Vec<String>,
    /// Addresses of the subject.
    pub(super) addresses: Vec<IpAddr>,
    /// The start of the validity, in seconds since 1970.
    pub(super) not_before: i64,
    /// The end of the validity, in seconds since 1970.
    pub(super) not_after: i64,
}

impl CertificateInfo {
    /// Whether the certificate is valid at a time, in seconds since 1970.
    pub(super) fn are_valid_at(&self, time: i64) -> bool {
        (self.not_before..=self.not_after).contains(&time)
    }
}

/// Reads a certificate in DER; `None` if it is none.
pub(super) fn read(der: &[u8]) -> Option<CertificateInfo> {
    let mut certificate = Der(Der(der).value(SEQUENCE)?);
    let mut body = Der(certificate.value(SEQUENCE)?);
    body.optional(VERSION)?;
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        body.next()?;
    }
    let mut validity = Der(body.value(SEQUENCE)?);
    let (not_before, not_after) = (time(validity.next()?)?, time(validity.next()?)?);
    let mut info = CertificateInfo { names: Vec::new(), addresses: Vec::new(), not_before, not_after };
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

fn read_extension(extension: &[u8], info: &mut CertificateInfo) -> Option<()> {
    let mut extension = Der(extension);
    let id = extension.value(OBJECT)?;
    extension.optional(BOOLEAN)?;
    let value = extension.value(OCTET_STRING)?;
    if id != SUBJECT_ALT_NAME {
        return Some(());
    }
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
