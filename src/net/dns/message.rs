//! Messages (RFC 1035, section 4), without I/O: questions out, answers in.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of a name (RFC 1035, section 2.3.4), and of one of its labels.
const NAME_BYTES_MAX: usize = 255;
const LABEL_BYTES_MAX: usize = 63;
/// Pointers in one name. A longer chain is a loop.
const POINTERS_MAX: usize = 64;
/// Records of one section that are read.
const RECORDS_MAX: usize = 512;
/// Bytes of a UDP answer that we ask for (RFC 9715, section 3.1).
const UDP_BYTES: u16 = 1232;

/// Bytes before the question.
const HEADER_BYTES: usize = 12;

/// The class of the internet.
pub(super) const CLASS_IN: u16 = 1;
const OPT: u16 = 41;

/// Set in the flags of an answer.
const RESPONSE: u16 = 0x8000;
const AUTHORITATIVE: u16 = 0x0400;
const TRUNCATED: u16 = 0x0200;
/// Set in the flags of a question to a resolver.
const RECURSION_DESIRED: u16 = 0x0100;

/// The kind of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// A name server of a zone.
    Ns,
    /// Another name for this one.
    Cname,
    /// The start of a zone.
    Soa,
    /// A text.
    Txt,
    /// The authorities that may issue certificates (RFC 8659).
    Caa,
    /// Any other.
    Other(u16),
}

impl Kind {
    pub(super) fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Ns => 2,
            Self::Cname => 5,
            Self::Soa => 6,
            Self::Txt => 16,
            Self::Aaaa => 28,
            Self::Caa => 257,
            Self::Other(number) => number,
        }
    }

    fn of(number: u16) -> Self {
        let known = [Self::A, Self::Ns, Self::Cname, Self::Soa, Self::Txt, Self::Aaaa, Self::Caa];
        known.into_iter().find(|kind| kind.number() == number).unwrap_or(Self::Other(number))
    }
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub(super) id: u16,
    /// The result: 0 is fine, 3 means that there is no such name.
    pub code: u8,
    /// Whether the server knows by itself.
    pub is_authoritative: bool,
    pub(super) is_truncated: bool,
    pub(super) question: Option<(String, Kind)>,
    /// The records that were asked for.
    pub answers: Vec<Record>,
    /// The start of the zone, or the servers that know more.
    pub authorities: Vec<Record>,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The name in lower case, without a dot at the end.
    pub name: String,
    /// The content.
    pub data: Data,
}

/// The content of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// An address.
    Address(IpAddr),
    /// The name of a name server.
    Server(String),
    /// The other name.
    Alias(String),
    /// The start of a zone.
    Start,
    /// The strings of a text as one.
    Text(Vec<u8>),
    /// A line of CAA.
    Caa {
        /// Whether an authority that does not know the tag may issue nothing.
        is_critical: bool,
        /// `issue`, `issuewild` or another, in lower case.
        tag: String,
        /// The value.
        value: String,
    },
    /// Anything else.
    Other,
}

/// A question. With `recursive`, the server is asked to ask others.
///
/// # Errors
/// The name cannot be written.
pub(super) fn question(id: u16, name: &str, kind: Kind, recursive: bool) -> Result<Vec<u8>, &'static str> {
    let mut bytes = header(id, if recursive { RECURSION_DESIRED } else { 0 }, [1, 0, 0, 1]);
    write_name(&mut bytes, name)?;
    put(&mut bytes, &[kind.number(), CLASS_IN]);
    // EDNS (RFC 6891, section 6.1.2): the root as name, the size as class, nothing else.
    bytes.push(0);
    put(&mut bytes, &[OPT, UDP_BYTES, 0, 0, 0]);
    Ok(bytes)
}

/// The head of a message with these counts.
pub(super) fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    put(&mut bytes, &[id, flags]);
    put(&mut bytes, &counts);
    bytes
}

/// Appends numbers of two bytes.
pub(super) fn put(bytes: &mut Vec<u8>, numbers: &[u16]) {
    numbers.iter().for_each(|number| bytes.extend(number.to_be_bytes()));
}

/// Appends a name without compression.
pub(super) fn write_name(bytes: &mut Vec<u8>, name: &str) -> Result<(), &'static str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() + 2 > NAME_BYTES_MAX {
        return Err("the name is too long for DNS");
    }
    for label in name.split('.').filter(|_| !name.is_empty()) {
        let is_plain = label.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if label.is_empty() || label.len() > LABEL_BYTES_MAX || !is_plain {
            return Err("the name is not one of DNS");
        }
        bytes.push(label.len() as u8);
        bytes.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    bytes.push(0);
    Ok(())
}

impl Message {
    /// Reads an answer. `None` if it is not valid.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader { bytes, at: 0 };
        let [id, flags] = [reader.number()?, reader.number()?];
        if flags & RESPONSE == 0 {
            return None;
        }
        let counts = [reader.number()?, reader.number()?, reader.number()?, reader.number()?];
        let mut question = None;
        for _ in 0..counts[0] {
            let name = reader.name()?;
            let kind = Kind::of(reader.number()?);
            reader.number()?;
            question.get_or_insert((name, kind));
        }
        let is_truncated = flags & TRUNCATED != 0;
        // The rest of a message that was cut is asked for again, over TCP.
        let (answers, authorities) = match is_truncated {
            true => Default::default(),
            false => (reader.records(counts[1])?, reader.records(counts[2])?),
        };
        Some(Self {
            id,
            code: (flags & 15) as u8,
            is_authoritative: flags & AUTHORITATIVE != 0,
            is_truncated,
            question,
            answers,
            authorities,
        })
    }

    /// Whether this answers `asked`, a message with that number and one question.
    pub(super) fn fits(&self, id: u16, asked: &[u8]) -> bool {
        let mut reader = Reader { bytes: asked, at: HEADER_BYTES };
        let name = reader.name();
        let kind = reader.number().map(Kind::of);
        // A server that did not understand may leave the question out.
        self.id == id
            && self.question.as_ref().is_none_or(|question| name.zip(kind).as_ref() == Some(question))
    }

    /// Whether the name has this text.
    pub fn has_text(&self, name: &str, text: &[u8]) -> bool {
        self.texts(name).any(|has| has == text)
    }

    /// The texts of a name.
    pub fn texts<'m>(&'m self, name: &str) -> impl Iterator<Item = &'m [u8]> {
        self.answers.iter().filter_map(move |record| match &record.data {
            Data::Text(text) if record.name == name => Some(&**text),
            _ => None,
        })
    }

    /// The other name for this one.
    pub fn alias(&self, name: &str) -> Option<&str> {
        self.answers.iter().find_map(|record| match &record.data {
            Data::Alias(alias) if record.name == name => Some(&**alias),
            _ => None,
        })
    }

    /// All addresses, whatever their names: an alias may lie between.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.answers.iter().filter_map(|record| match record.data {
            Data::Address(address) => Some(address),
            _ => None,
        })
    }

    /// The result in words.
    pub fn result(&self) -> &'static str {
        match self.code {
            0 => "no error",
            1 => "FORMERR: the server did not understand",
            2 => "SERVFAIL: the server is in trouble",
            3 => "NXDOMAIN: there is no such name",
            5 => "REFUSED: the server does not answer us",
            9 => "NOTAUTH: the server is not the one of this zone, or does not take the key",
            _ => "an error",
        }
    }
}

/// Reads a message from its start.
struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|two| u16::from_be_bytes([two[0], two[1]]))
    }

    /// A name, which may go on at earlier places (RFC 1035, section 4.1.4).
    fn name(&mut self) -> Option<String> {
        let (mut name, mut after, mut pointers) = (String::new(), None, 0);
        loop {
            let length = usize::from(*self.take(1)?.first()?);
            match length >> 6 {
                0 if length == 0 => break,
                0 => {
                    if !name.is_empty() {
                        name.push('.');
                    }
                    push_label(&mut name, self.take(length)?);
                }
                3 => {
                    let low = usize::from(*self.take(1)?.first()?);
                    after.get_or_insert(self.at);
                    pointers += 1;
                    self.at = (length & 0x3f) << 8 | low;
                }
                _ => return None,
            }
            if pointers > POINTERS_MAX || name.len() > 4 * NAME_BYTES_MAX {
                return None;
            }
        }
        self.at = after.unwrap_or(self.at);
        Some(name)
    }

    fn records(&mut self, count: u16) -> Option<Vec<Record>> {
        let mut records = Vec::new();
        for _ in 0..count {
            let record = self.record()?;
            if records.len() < RECORDS_MAX {
                records.extend(record);
            }
        }
        Some(records)
    }

    /// A record. One of another class is left out.
    fn record(&mut self) -> Option<Option<Record>> {
        let name = self.name()?;
        let (kind, class) = (Kind::of(self.number()?), self.number()?);
        self.take(4)?;
        let length = usize::from(self.number()?);
        let end = self.at + length;
        self.bytes.get(..end)?;
        let data = self.data(kind, length)?;
        self.at = end;
        Some((class == CLASS_IN).then_some(Record { name, data }))
    }

    fn data(&mut self, kind: Kind, length: usize) -> Option<Data> {
        let start = self.at;
        let content = self.bytes.get(start..start + length)?;
        Some(match kind {
            Kind::A => Data::Address(Ipv4Addr::from(<[u8; 4]>::try_from(content).ok()?).into()),
            Kind::Aaaa => Data::Address(Ipv6Addr::from(<[u8; 16]>::try_from(content).ok()?).into()),
            Kind::Ns => Data::Server(self.name()?),
            Kind::Cname => Data::Alias(self.name()?),
            Kind::Soa => Data::Start,
            Kind::Txt => Data::Text(strings(content)?),
            Kind::Caa => caa(content)?,
            Kind::Other(_) => Data::Other,
        })
    }
}

/// Appends a label in lower case. A byte that could be taken for syntax becomes `\DDD` (RFC 4343, section 2.1).
fn push_label(name: &mut String, label: &[u8]) {
    for byte in label {
        match byte {
            b'.' | b'\\' => drop(write!(name, "\\{byte:03}")),
            byte if byte.is_ascii_graphic() => name.push(char::from(byte.to_ascii_lowercase())),
            byte => drop(write!(name, "\\{byte:03}")),
        }
    }
}

/// The strings of a text, each behind its length.
fn strings(mut content: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(content.len());
    while let Some((length, rest)) = content.split_first() {
        let (string, after) = rest.split_at_checked(usize::from(*length))?;
        text.extend(string);
        content = after;
    }
    Some(text)
}

/// Flags, the length of the tag, tag and value (RFC 8659, section 4.1).
fn caa(content: &[u8]) -> Option<Data> {
    let (flags, rest) = content.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (tag, value) = rest.split_at_checked(usize::from(*length))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Data::Caa {
        is_critical: flags & 0x80 != 0,
        tag: text(tag).to_ascii_lowercase(),
        value: text(value),
    })
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
