//! Fields become a header block, by the static table and literals alone.

use super::huffman;
use super::integer;
use super::static_table::{ROWS, index_of};
use crate::http::Name;

/// The update that says that this encoder uses no dynamic table (RFC 7541, section 6.3). It stands at the start of
/// the first block of a connection. After it, no SETTINGS of the peer can ask for a smaller table.
pub(crate) const NO_DYNAMIC_TABLE: u8 = 0x20;

/// The form of literals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Literals {
    /// Whether strings have the Huffman code where it is shorter. It saves a fifth to a third of the bytes.
    pub huffman: bool,
    /// Whether no hop may compress the fields. An intermediary must keep that mark of a field (RFC 7541, section
    /// 7.1.3), and does so for the whole message.
    pub never_indexed: bool,
}

/// Bytes of the longest name that the static table has.
const STATIC_NAME_MAX: usize = 27;

/// A header block that is being written.
#[derive(Debug)]
pub struct BlockEncoder<'o> {
    out: &'o mut Vec<u8>,
    literals: Literals,
}

impl<'o> BlockEncoder<'o> {
    /// Begins a block at the end of `out`.
    pub fn new(out: &'o mut Vec<u8>, literals: Literals) -> BlockEncoder<'o> {
        BlockEncoder { out, literals }
    }

    /// Writes `:status`.
    pub fn status(&mut self, status: u16) {
        let digits = [status / 100, status / 10 % 10, status % 10].map(|digit| digit as u8 + b'0');
        self.lower(b":status", &digits, Name::Other);
    }

    /// Writes a field. Its name may have capitals, which HTTP/2 forbids, so they become lower case.
    pub fn field(&mut self, name: &[u8], value: &[u8], known: Name) {
        if !name.iter().any(u8::is_ascii_uppercase) {
            return self.lower(name, value, known);
        }
        let mut short = [0; STATIC_NAME_MAX];
        match short.get_mut(..name.len()) {
            Some(lower) => {
                lower.copy_from_slice(name);
                lower.make_ascii_lowercase();
                self.lower(lower, value, known);
            }
            None => self.lower(&name.to_ascii_lowercase(), value, known),
        }
    }

    /// Writes a field whose name is in lower case.
    fn lower(&mut self, name: &[u8], value: &[u8], known: Name) {
        let index = index_of(name);
        let exact = index.and_then(|first| {
            let mut rows = ROWS[first - 1..].iter().take_while(|row| row.name.as_bytes() == name);
            rows.position(|row| row.value.as_bytes() == value).map(|at| first + at)
        });
        if let Some(index) = exact.filter(|_| !self.literals.never_indexed) {
            return integer::write(self.out, 0x80, 7, index);
        }
        let is_secret = matches!(known, Name::Authorization | Name::Cookie | Name::SetCookie);
        let literal = if is_secret || self.literals.never_indexed { 0x10 } else { 0 };
        match index {
            Some(index) => integer::write(self.out, literal, 4, index),
            None => {
                self.out.push(literal);
                self.string(name);
            }
        }
        self.string(value);
    }

    fn string(&mut self, text: &[u8]) {
        let coded = if self.literals.huffman { huffman::encoded_len(text) } else { text.len() };
        if coded < text.len() {
            integer::write(self.out, 0x80, 7, coded);
            huffman::encode(text, self.out);
        } else {
            integer::write(self.out, 0, 7, text.len());
            self.out.extend_from_slice(text);
        }
    }
}
