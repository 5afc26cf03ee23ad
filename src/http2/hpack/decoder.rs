//! A header block becomes fields (RFC 7541, section 6).

use super::super::error::ConnectionError;
use super::dynamic_table::DynamicTable;
use super::static_table::{ROWS, Row};
use super::{huffman, integer};
use crate::http::Name;

/// A decoded field. It lives until the next one is decoded.
#[derive(Clone, Copy, Debug)]
pub struct Field<'b> {
    /// The name as sent. It is not checked.
    pub name: &'b [u8],
    /// The value as sent. It is not checked.
    pub value: &'b [u8],
    /// The meaning of the name; `Other` for a pseudo field.
    pub known: Name,
    /// Whether the sender forbids any compression of it, on every hop (RFC 7541, section 6.2.3).
    pub never_indexed: bool,
}

/// The state of decompression that a connection keeps between blocks.
///
/// Every block of the connection passes through here, also that of a stream that is refused: otherwise the two
/// tables would differ from then on.
#[derive(Debug)]
pub struct Decoder {
    table: DynamicTable,
}

/// Updates of the table size at the start of a block: the smallest and the last (RFC 7541, section 4.2).
const SIZE_UPDATES_MAX: usize = 2;

/// The place of a literal's name.
enum NameSource {
    Static(&'static Row),
    /// The name is copied into the scratch, because an insertion may evict its entry.
    Copied(Name),
    Literal,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder { table: DynamicTable::new() }
    }
}

impl Decoder {
    /// Decodes a whole block and calls `each` with every field. `scratch` holds strings meanwhile.
    ///
    /// # Errors
    /// The block is not valid, or `each` fails. Then the connection cannot go on (RFC 9113, section 4.3).
    pub fn decode(
        &mut self,
        block: &[u8],
        scratch: &mut Vec<u8>,
        mut each: impl FnMut(Field<'_>) -> Result<(), ConnectionError>,
    ) -> Result<(), ConnectionError> {
        let mut rest = self.update_size(block)?;
        while let Some(&first) = rest.first() {
            match first {
                0x80.. => {
                    let index = integer::read(&mut rest, 7)?;
                    each(self.indexed(index)?)?;
                }
                0x40.. => self.literal(&mut rest, 6, scratch, &mut each)?,
                0x20.. => {
                    return Err(ConnectionError::compression("a table size update behind a field"));
                }
                _ => self.literal(&mut rest, 4, scratch, &mut each)?,
            }
        }
        Ok(())
    }

    /// Gives back memory that holds no entry, before the connection waits.
    pub fn shrink(&mut self) {
        self.table.shrink();
    }

    /// Bytes of memory that the dynamic table holds.
    pub fn held(&self) -> usize {
        self.table.held()
    }

    /// The size of the dynamic table by RFC 7541, section 4.1.
    #[cfg(test)]
    pub(in crate::http2) fn table_size(&self) -> usize {
        self.table.size()
    }

    /// Takes the size updates at the start of a block, and returns the bytes behind them.
    fn update_size<'b>(&mut self, mut block: &'b [u8]) -> Result<&'b [u8], ConnectionError> {
        for _ in 0..SIZE_UPDATES_MAX {
            if !matches!(block.first(), Some(0x20..=0x3f)) {
                break;
            }
            if !self.table.resize(integer::read(&mut block, 5)?) {
                return Err(ConnectionError::compression("a table size over the limit"));
            }
        }
        Ok(block)
    }

    fn indexed(&self, index: usize) -> Result<Field<'_>, ConnectionError> {
        let (name, value, known) = match index.checked_sub(1).map(|at| ROWS.get(at)) {
            None => return Err(ConnectionError::compression("index 0")),
            Some(Some(row)) => (row.name.as_bytes(), row.value.as_bytes(), row.known),
            Some(None) => self.table.get(index - 1 - ROWS.len()).ok_or_else(beyond)?,
        };
        Ok(Field { name, value, known, never_indexed: false })
    }

    /// Decodes a literal, whose index has `prefix` bits. Six bits: it is inserted into the table.
    fn literal(
        &mut self,
        rest: &mut &[u8],
        prefix: u32,
        scratch: &mut Vec<u8>,
        each: &mut impl FnMut(Field<'_>) -> Result<(), ConnectionError>,
    ) -> Result<(), ConnectionError> {
        let never_indexed = prefix == 4 && rest.first().is_some_and(|first| first & 0x10 != 0);
        let index = integer::read(rest, prefix)?;
        scratch.clear();
        let (source, written) = match index.checked_sub(1).map(|at| ROWS.get(at)) {
            None => (NameSource::Literal, string(rest, scratch)?),
            Some(Some(row)) => (NameSource::Static(row), Written::InScratch),
            Some(None) => {
                let (name, _, known) = self.table.get(index - 1 - ROWS.len()).ok_or_else(beyond)?;
                scratch.extend_from_slice(name);
                (NameSource::Copied(known), Written::InScratch)
            }
        };
        let name_end = scratch.len();
        let value = string(rest, scratch)?;
        let (name, known) = match (source, written) {
            (NameSource::Static(row), _) => (row.name.as_bytes(), row.known),
            (NameSource::Copied(known), _) => (&scratch[..name_end], known),
            (NameSource::Literal, Written::InBlock(name)) => (name, Name::classify(name)),
            (NameSource::Literal, Written::InScratch) => {
                let name = &scratch[..name_end];
                (name, Name::classify(name))
            }
        };
        let value = match value {
            Written::InBlock(value) => value,
            Written::InScratch => &scratch[name_end..],
        };
        each(Field { name, value, known, never_indexed })?;
        if prefix == 6 {
            self.table.insert(name, value, known);
        }
        Ok(())
    }
}

/// The place of a string.
enum Written<'b> {
    InBlock(&'b [u8]),
    /// At the end of the scratch, where it was decompressed.
    InScratch,
}

/// Reads a string (RFC 7541, section 5.2).
fn string<'b>(rest: &mut &'b [u8], scratch: &mut Vec<u8>) -> Result<Written<'b>, ConnectionError> {
    let is_huffman = rest.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer::read(rest, 7)?;
    let Some((text, behind)) = rest.split_at_checked(length) else {
        return Err(ConnectionError::compression("a string is longer than its header block"));
    };
    *rest = behind;
    if !is_huffman {
        return Ok(Written::InBlock(text));
    }
    huffman::decode(text, scratch)?;
    Ok(Written::InScratch)
}

#[cold]
fn beyond() -> ConnectionError {
    ConnectionError::compression("an index beyond both tables")
}
