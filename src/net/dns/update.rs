//! Updates of a zone (RFC 2136), signed with a shared key (RFC 8945).

use std::io;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{hmac, rand};

use super::exchange::exchange;
use super::message::{CLASS_IN, Kind, header, put, write_name};

/// The kind and the class of a signature.
const TSIG: u16 = 250;
const CLASS_ANY: u16 = 255;
/// The class by which one record is removed (RFC 2136, section 2.5.4).
const CLASS_NONE: u16 = 254;
/// The flags of an update.
const UPDATE: u16 = 5 << 11;
/// Seconds by which two clocks may differ (RFC 8945, section 10).
const FUDGE: u16 = 300;
/// Bytes of one string of a text.
const STRING_BYTES_MAX: usize = 255;
/// Seconds that others may keep the record.
const TTL: u16 = 60;

/// The way in which an update is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TsigAlgorithm {
    /// HMAC with SHA-256.
    Sha256,
    /// HMAC with SHA-384.
    Sha384,
    /// HMAC with SHA-512.
    Sha512,
}

/// A key that a name server shares with us.
#[derive(Clone)]
pub struct TsigKey {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub secret: Vec<u8>,
    /// The algorithm that it is made for.
    pub algorithm: TsigAlgorithm,
}

/// Adds a text to a name, or removes it. Twice is the same as once.
///
/// # Errors
/// The server does not answer, or refuses.
pub async fn change_text(
    server: SocketAddr,
    zone: &str,
    name: &str,
    text: &str,
    adds: bool,
    key: Option<&TsigKey>,
) -> io::Result<()> {
    let mut id = [0; 2];
    rand::fill(&mut id).map_err(|_| io::Error::other("there is no randomness"))?;
    let id = u16::from_be_bytes(id);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let message = update(id, zone, name, text, adds).and_then(|bytes| match key {
        Some(key) => signed(bytes, id, key, now),
        None => Ok(bytes),
    });
    let answer = exchange(server, id, &message.map_err(io::Error::other)?).await?;
    match answer.code {
        0 => Ok(()),
        _ => Err(io::Error::other(format!("{server} refuses to change {zone}: {}", answer.result()))),
    }
}

fn update(id: u16, zone: &str, name: &str, text: &str, adds: bool) -> Result<Vec<u8>, &'static str> {
    let mut bytes = header(id, UPDATE, [1, 0, 1, 0]);
    write_name(&mut bytes, zone)?;
    put(&mut bytes, &[Kind::Soa.number(), CLASS_IN]);
    write_name(&mut bytes, name)?;
    let (class, ttl) = if adds { (CLASS_IN, TTL) } else { (CLASS_NONE, 0) };
    let mut content = Vec::new();
    for string in text.as_bytes().chunks(STRING_BYTES_MAX) {
        content.push(string.len() as u8);
        content.extend(string);
    }
    put(&mut bytes, &[Kind::Txt.number(), class, 0, ttl, content.len() as u16]);
    bytes.extend(content);
    Ok(bytes)
}

/// Appends the signature. That of the answer is not checked: whether the record is there is asked afterwards.
fn signed(mut message: Vec<u8>, id: u16, key: &TsigKey, now: u64) -> Result<Vec<u8>, &'static str> {
    let (algorithm, name) = match key.algorithm {
        TsigAlgorithm::Sha256 => (hmac::HMAC_SHA256, "hmac-sha256"),
        TsigAlgorithm::Sha384 => (hmac::HMAC_SHA384, "hmac-sha384"),
        TsigAlgorithm::Sha512 => (hmac::HMAC_SHA512, "hmac-sha512"),
    };
    let (mut owner, mut start) = (Vec::new(), Vec::new());
    write_name(&mut owner, &key.name)?;
    write_name(&mut start, name)?;
    // Six bytes of time, and the difference that is allowed.
    start.extend(&now.to_be_bytes()[2..]);
    put(&mut start, &[FUDGE]);
    let mut covered = [&*message, &owner].concat();
    put(&mut covered, &[CLASS_ANY, 0, 0]);
    covered.extend(&start);
    // No error, and nothing else.
    put(&mut covered, &[0, 0]);
    let tag = hmac::sign(&hmac::Key::new(algorithm, &key.secret), &covered);
    let tag = tag.as_ref();
    put(&mut start, &[tag.len() as u16]);
    start.extend(tag);
    put(&mut start, &[id, 0, 0]);
    message.extend(owner);
    put(&mut message, &[TSIG, CLASS_ANY, 0, 0, start.len() as u16]);
    message.extend(start);
    // One record in the last section.
    message[11] += 1;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_names_the_zone_and_adds_or_removes_one_text() {
        let added = update(1, "example", "_a.example", "xy", true).unwrap();
        let head = b"\0\x01\x28\0\0\x01\0\0\0\x01\0\0\x07example\0\0\x06\0\x01\x02_a\x07example\0\0\x10";
        assert_eq!(added, [&head[..], b"\0\x01\0\0\0\x3c\0\x03\x02xy"].concat());
        let removed = update(1, "example", "_a.example", "xy", false).unwrap();
        assert_eq!(removed, [&head[..], b"\0\xfe\0\0\0\0\0\x03\x02xy"].concat());
        let long = update(1, "example", "a.example", &"x".repeat(300), true).unwrap();
        assert!(
            long.windows(2).any(|two| two == [255, b'x']) && long.windows(2).any(|two| two == [45, b'x'])
        );
    }

    #[test]
    fn a_signature_covers_the_message_and_its_time() {
        let key = TsigKey { name: "K.".into(), secret: b"secret".to_vec(), algorithm: TsigAlgorithm::Sha256 };
        let plain = update(0x0102, "example", "a.example", "x", true).unwrap();
        let bytes = signed(plain.clone(), 0x0102, &key, 0x1_0000_0002).unwrap();
        let (head, tail) = bytes.split_at(plain.len());
        assert_eq!((&head[..11], head[11], &head[12..]), (&plain[..11], 1, &plain[12..]));
        let start = b"\x01k\0\0\xfa\0\xff\0\0\0\0\0\x3d\x0bhmac-sha256\0\0\x01\0\0\0\x02\x01\x2c\0\x20";
        assert_eq!(&tail[..start.len()], start);
        assert_eq!(&tail[start.len() + 32..], b"\x01\x02\0\0\0\0");
        let covered = b"\x01k\0\0\xff\0\0\0\0\x0bhmac-sha256\0\0\x01\0\0\0\x02\x01\x2c\0\0\0\0";
        let covered = [&*plain, covered].concat();
        let tag = &tail[start.len()..start.len() + 32];
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, b"secret"), &covered, tag).unwrap();
    }
}
