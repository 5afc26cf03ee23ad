//! The field lines of a head, kept as offsets into its bytes.

use std::borrow::Cow;
use std::ops::Range;

use super::name::Name;

/// The positions of the field lines of one head. The table is reused from message to message. It grows to the
/// largest head seen, at most `head_fields_max` rows of 24 bytes, and then allocates no more.
#[derive(Debug, Default)]
pub struct FieldTable {
    pub(crate) rows: Vec<Row>,
}

/// One field line, as offsets into the head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// The first byte of the name, and so of the line.
    pub(crate) start: u32,
    /// The colon after the name.
    pub(crate) name_end: u32,
    /// The first byte of the value, after white space.
    pub(crate) value: u32,
    /// The end of the value, before white space.
    pub(crate) value_end: u32,
    /// The end of the line, after its LF.
    pub(crate) end: u32,
    pub(crate) known: Name,
    pub(crate) named_by_connection: bool,
}

impl Row {
    pub(crate) fn name<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.start as usize..self.name_end as usize]
    }

    pub(crate) fn value<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.value as usize..self.value_end as usize]
    }
}

/// The fields of a head: its bytes and the table that points into them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'b> {
    bytes: &'b [u8],
    rows: &'b [Row],
}

/// One field line. Its parts are looked up when they are needed.
#[derive(Clone, Copy)]
pub struct Field<'b> {
    bytes: &'b [u8],
    row: &'b Row,
}

impl<'b> Field<'b> {
    /// The name as written.
    pub fn name(&self) -> &'b [u8] {
        self.row.name(self.bytes)
    }

    /// The value without the white space around it.
    pub fn value(&self) -> &'b [u8] {
        self.row.value(self.bytes)
    }

    /// The meaning of the name to a proxy.
    pub fn known(&self) -> Name {
        self.row.known
    }

    /// The whole line as received, with its CRLF.
    pub fn line(&self) -> &'b [u8] {
        &self.bytes[self.row.start as usize..self.row.end as usize]
    }

    /// Whether `Connection` names the field, so that it is not forwarded (RFC 9110, section 7.6.1). Never
    /// true of fields that a peer must not be able to remove, such as `Host`.
    pub fn is_named_by_connection(&self) -> bool {
        self.row.named_by_connection
    }
}

impl std::fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, value, line) = (self.name(), self.value(), self.line());
        let [name, value, line] = [name, value, line].map(|bytes| bytes.escape_ascii().to_string());
        f.debug_struct("Field")
            .field("name", &name)
            .field("value", &value)
            .field("known", &self.known())
            .field("line", &line)
            .field("named_by_connection", &self.is_named_by_connection())
            .finish()
    }
}

impl<'b> Fields<'b> {
    pub(crate) fn new(bytes: &'b [u8], table: &'b FieldTable) -> Fields<'b> {
        Fields { bytes, rows: &table.rows }
    }

    /// The fields in the order of the head.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Field<'b>> + use<'b> {
        let Fields { bytes, rows } = *self;
        rows.iter().map(move |row| Field { bytes, row })
    }

    /// Calls `each` with the first `start` bytes of the head, then with the lines that `keep` selects.
    /// Neighbours come in one piece, so that they are copied at once.
    pub fn for_each_run(
        &self,
        start: usize,
        keep: impl FnMut(&Field<'b>) -> bool,
        mut each: impl FnMut(&'b [u8]),
    ) {
        let mut each = |run: Range<usize>| {
            if !run.is_empty() {
                each(&self.bytes[run]);
            }
        };
        let mut run = 0..start;
        for Field { row, .. } in self.iter().filter(keep) {
            if row.start as usize != run.end {
                each(run);
                run = row.start as usize..row.start as usize;
            }
            run.end = row.end as usize;
        }
        each(run);
    }

    /// The value of the first field with this known name.
    pub fn get(&self, name: Name) -> Option<&'b [u8]> {
        self.rows.iter().find(|row| row.known == name).map(|row| row.value(self.bytes))
    }

    /// The value of the first field with this name, in upper or lower case.
    pub fn find(&self, name: &[u8]) -> Option<&'b [u8]> {
        self.rows
            .iter()
            .find(|row| row.name(self.bytes).eq_ignore_ascii_case(name))
            .map(|row| row.value(self.bytes))
    }

    /// The list under this known name.
    #[inline]
    pub fn list(&self, name: Name) -> Option<Cow<'b, [u8]>> {
        self.joined(|row| row.known == name)
    }

    /// The list under this name, in upper or lower case.
    pub fn find_list(&self, name: &[u8]) -> Option<Cow<'b, [u8]>> {
        self.joined(|row| row.name(self.bytes).eq_ignore_ascii_case(name))
    }

    /// The values of the lines that `is_line` selects, as one list (RFC 9110, section 5.3). Only a list of several lines
    /// is copied.
    #[inline]
    fn joined(&self, is_line: impl Fn(&Row) -> bool) -> Option<Cow<'b, [u8]>> {
        let mut lines = self.rows.iter().filter(|row| is_line(row)).map(|row| row.value(self.bytes));
        let first = lines.next()?;
        Some(match lines.next() {
            None => Cow::Borrowed(first),
            Some(second) => join([first, second].into_iter().chain(lines)),
        })
    }

    /// The value of a cookie (RFC 6265, section 4.2.1).
    pub fn cookie(&self, name: &[u8]) -> Option<&'b [u8]> {
        let lines = self.iter().filter(|field| field.known() == Name::Cookie);
        let mut pairs = lines.flat_map(|field| field.value().split(|byte| *byte == b';'));
        pairs.find_map(|pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="))
    }

    /// Number of field lines.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no field lines.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// The lines of a list, with commas between them.
#[cold]
fn join<'b>(lines: impl Iterator<Item = &'b [u8]>) -> Cow<'b, [u8]> {
    let lines: Vec<_> = lines.collect();
    Cow::Owned(lines.join(&b", "[..]))
}

impl FieldTable {
    /// Creates an empty table, which allocates nothing yet.
    pub fn new() -> FieldTable {
        FieldTable::default()
    }
}
