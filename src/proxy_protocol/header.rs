//! Headers of the PROXY protocol: parsing and writing.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of the longest header of version 1, with its line end (section 2.1).
const TEXT_BYTES_MAX: usize = 107;

/// Bytes of the longest header that is read. Version 2 allows 64 KiB, but real senders add only some hundred
/// bytes to the addresses.
pub const HEADER_BYTES_MAX: usize = 4 * 1024;

/// The signature of version 2 (section 2.2).
pub(super) const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
pub(super) const BINARY_PREFIX: usize = 16;

pub(super) const TYPE_CHECKSUM: u8 = 0x03;
pub(super) const TYPE_UNIQUE_ID: u8 = 0x05;
const TYPE_TLS: u8 = 0x20;
/// Bytes of the longest unique identity (section 2.2.5).
const UNIQUE_ID_MAX: usize = 128;

/// The version of a header to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// The content of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The client's address and the address that it connected to. `None` if the peer speaks for itself or
    /// does not know; then the connection's own addresses count.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// Bytes of the header. The client's bytes follow it.
    pub len: usize,
}

/// The reason why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The bytes do not begin like a header.
    Absent,
    /// The bytes begin like a header and then break a rule.
    Malformed(&'static str),
    /// The header is longer than [`HEADER_BYTES_MAX`].
    TooLong,
}

impl HeaderError {
    /// A description of the error for the log.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Absent => "there is no PROXY header",
            Self::Malformed(what) => what,
            Self::TooLong => "the PROXY header is longer than 4KiB",
        }
    }
}

/// Parses the header of either version at the start of `bytes`. `None` means that it is not complete.
///
/// # Errors
/// As soon as the bytes can no longer become a header.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    let begins_like = |start: &[u8]| {
        let common = start.len().min(bytes.len());
        bytes[..common] == start[..common]
    };
    if begins_like(SIGNATURE) {
        parse_binary(bytes)
    } else if begins_like(b"PROXY ") {
        parse_text(bytes)
    } else {
        Err(HeaderError::Absent)
    }
}

/// Parses version 1 (section 2.1): `PROXY TCP4 client server port port`, with exactly one space between
/// words.
fn parse_text(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    let seen = &bytes[..bytes.len().min(TEXT_BYTES_MAX)];
    let Some(end) = seen.iter().position(|byte| *byte == b'\n') else {
        return if seen.len() == TEXT_BYTES_MAX { Err(malformed("the line is too long")) } else { Ok(None) };
    };
    let line = seen[..end].strip_suffix(b"\r").ok_or(malformed("the line does not end with CR LF"))?;
    let line = std::str::from_utf8(line).map_err(|_| malformed("the line is not ASCII"))?;
    let mut words = line.split(' ').skip(1);
    let addresses = match words.next() {
        // The rest of the line is to be ignored.
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(text_addresses(words, |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4))?),
        Some("TCP6") => Some(text_addresses(words, |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6))?),
        _ => return Err(malformed("neither TCP4, TCP6 nor UNKNOWN")),
    };
    Ok(Some(Header { addresses, len: end + 1 }))
}

fn text_addresses<'a>(
    mut words: impl Iterator<Item = &'a str>,
    address: fn(&str) -> Option<IpAddr>,
) -> Result<(SocketAddr, SocketAddr), HeaderError> {
    let mut next = |read: fn(&str) -> Option<IpAddr>| words.next().and_then(read);
    let (client, server) = (next(address), next(address));
    let (client_port, server_port) = (words.next().and_then(port), words.next().and_then(port));
    match (client.zip(client_port), server.zip(server_port), words.next()) {
        (Some(client), Some(server), None) => Ok((client.into(), server.into())),
        _ => Err(malformed("not two addresses and two ports of that family")),
    }
}

/// Parses a port without a sign and without leading zeros.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// Parses version 2 (section 2.2): signature, version and command, family and protocol, length, addresses,
/// more.
fn parse_binary(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    let Some(prefix) = bytes.first_chunk::<BINARY_PREFIX>() else {
        return match bytes.get(SIGNATURE.len()) {
            Some(kind) if !matches!(kind, 0x20 | 0x21) => {
                Err(malformed("neither LOCAL nor PROXY of version 2"))
            }
            _ => Ok(None),
        };
    };
    let &[.., kind, family, high, low] = prefix;
    if !matches!(kind, 0x20 | 0x21) {
        return Err(malformed("neither LOCAL nor PROXY of version 2"));
    }
    let len = BINARY_PREFIX + usize::from(u16::from_be_bytes([high, low]));
    if len > HEADER_BYTES_MAX {
        return Err(HeaderError::TooLong);
    }
    let Some(header) = bytes.get(..len) else { return Ok(None) };
    let body = &header[BINARY_PREFIX..];
    let (addresses, more) = match family {
        0x11 => binary_addresses::<4>(body)?,
        0x21 => binary_addresses::<16>(body)?,
        // UNIX sockets have paths, which tell nothing about a client.
        0x31 | 0x32 => (None, body.get(216..).ok_or(malformed("too short for its addresses"))?),
        // Datagrams do not come over TCP, so ignore their addresses.
        0x12 => (None, binary_addresses::<4>(body)?.1),
        0x22 => (None, binary_addresses::<16>(body)?.1),
        0x00 => (None, body),
        _ => return Err(malformed("an unknown family or protocol")),
    };
    // A LOCAL connection is the peer's own, for example a health check, and its addresses are to be ignored.
    // For an unknown family, the end of the addresses is unknown too.
    if kind == 0x21 && family != 0x00 {
        check_more(more, header, 0)?;
    }
    Ok(Some(Header { addresses: addresses.filter(|_| kind == 0x21), len }))
}

/// Both addresses, and the bytes behind them.
type Addresses<'a> = (Option<(SocketAddr, SocketAddr)>, &'a [u8]);

fn binary_addresses<const N: usize>(body: &[u8]) -> Result<Addresses<'_>, HeaderError>
where
    IpAddr: From<[u8; N]>,
{
    let mut rest = body;
    let mut take = |count: usize| {
        let (taken, more) = rest.split_at_checked(count).ok_or(malformed("too short for its addresses"))?;
        rest = more;
        Ok::<&[u8], HeaderError>(taken)
    };
    let address = |bytes: &[u8]| <[u8; N]>::try_from(bytes).map(IpAddr::from);
    let (client, server) = (address(take(N)?), address(take(N)?));
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u16::from(*byte));
    let (client_port, server_port) = (number(take(2)?), number(take(2)?));
    let both = client.ok().zip(server.ok());
    Ok((both.map(|(client, server)| ((client, client_port).into(), (server, server_port).into())), rest))
}

/// Checks the type, length and value of each extension (section 2.2). No length may exceed its own part.
/// `header` is the whole header, for its checksum; `depth` is 1 inside the TLS extension.
fn check_more(mut more: &[u8], header: &[u8], depth: u8) -> Result<(), HeaderError> {
    while !more.is_empty() {
        let split = more.split_first_chunk::<3>().and_then(|(&[kind, high, low], rest)| {
            let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
            Some((kind, value, rest))
        });
        let (kind, value, rest) = split.ok_or(malformed("a length past the end of the header"))?;
        match kind {
            TYPE_CHECKSUM if depth == 0 => {
                let at = header.len() - rest.len() - value.len();
                check_sum(header, at, value)?;
            }
            TYPE_UNIQUE_ID if value.len() > UNIQUE_ID_MAX => {
                return Err(malformed("an identity that is longer than 128 bytes"));
            }
            TYPE_TLS if depth == 0 => {
                // A byte of flags and four of a result come first.
                let inside = value.get(5..).ok_or(malformed("the part about TLS is too short"))?;
                check_more(inside, header, 1)?;
            }
            _ => {}
        }
        more = rest;
    }
    Ok(())
}

/// Checks CRC-32C over the whole header, with zeros in place of the checksum (section 2.2.3).
fn check_sum(header: &[u8], at: usize, sum: &[u8]) -> Result<(), HeaderError> {
    let sum: [u8; 4] = sum.try_into().map_err(|_| malformed("a checksum that is not four bytes long"))?;
    let bytes = header.iter().enumerate();
    let zeroed = bytes.map(|(index, byte)| if (at..at + 4).contains(&index) { 0 } else { *byte });
    if crc32c(zeroed) == u32::from_be_bytes(sum) { Ok(()) } else { Err(malformed("a wrong checksum")) }
}

/// Computes CRC-32C bit by bit, because headers are short and checksums rare.
pub(super) fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    const REVERSED_POLYNOMIAL: u32 = 0x82f6_3b78;
    let step = |sum: u32, _| if sum & 1 == 1 { sum >> 1 ^ REVERSED_POLYNOMIAL } else { sum >> 1 };
    !bytes.fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(byte), step))
}

fn malformed(what: &'static str) -> HeaderError {
    HeaderError::Malformed(what)
}

/// Appends a header for a client that connected to `server`. If the families differ, both addresses are
/// written as IPv6.
pub fn write(version: Version, client: SocketAddr, server: SocketAddr, out: &mut Vec<u8>) {
    let addresses = match (client.ip(), server.ip()) {
        (IpAddr::V4(client), IpAddr::V4(server)) => Ok((client, server)),
        (client, server) => Err((as_v6(client), as_v6(server))),
    };
    let ports = (client.port(), server.port());
    match version {
        Version::V1 => {
            let (client_port, server_port) = ports;
            // Writing to a vector cannot fail.
            let _ = match addresses {
                Ok((client, server)) => {
                    write!(out, "PROXY TCP4 {client} {server} {client_port} {server_port}\r\n")
                }
                Err((client, server)) => {
                    write!(out, "PROXY TCP6 {client} {server} {client_port} {server_port}\r\n")
                }
            };
        }
        Version::V2 => {
            out.extend_from_slice(SIGNATURE);
            match addresses {
                Ok((client, server)) => {
                    out.extend_from_slice(&[0x21, 0x11, 0, 12]);
                    out.extend_from_slice(&client.octets());
                    out.extend_from_slice(&server.octets());
                }
                Err((client, server)) => {
                    out.extend_from_slice(&[0x21, 0x21, 0, 36]);
                    out.extend_from_slice(&client.octets());
                    out.extend_from_slice(&server.octets());
                }
            }
            out.extend_from_slice(&ports.0.to_be_bytes());
            out.extend_from_slice(&ports.1.to_be_bytes());
        }
    }
}

fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
