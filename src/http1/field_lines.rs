//! The strict reader of field lines, which become rows of a table (RFC 9112, section 5).

use super::facts::HeadFacts;
use crate::http::{FieldTable, Name, Refusal, Row, class, escaped, identifies_client, list_items};
use crate::reason::Reason;

/// The reason why reading a head stopped before its end.
#[derive(Debug)]
pub(super) enum ParseStop {
    /// The bytes ran out. Parse again when the end of the head has come, or when there are this many bytes.
    More(usize),
    /// The head is refused.
    Refused(Refusal),
}

impl From<Refusal> for ParseStop {
    fn from(refusal: Refusal) -> ParseStop {
        ParseStop::Refused(refusal)
    }
}

impl FieldTable {
    /// Removes the rows of an earlier head.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }

    /// Reads field lines from `at` to the empty line, and returns the index after the head.
    pub(super) fn fill<'b>(
        &mut self,
        bytes: &'b [u8],
        mut at: usize,
        fields_max: usize,
        facts: &mut HeadFacts<'b>,
    ) -> Result<usize, ParseStop> {
        loop {
            match bytes.get(at) {
                None => return Err(ParseStop::More(usize::MAX)),
                Some(b'\r') => match bytes.get(at + 1) {
                    None => return Err(ParseStop::More(usize::MAX)),
                    Some(b'\n') => break,
                    Some(_) => {}
                },
                Some(b' ' | b'\t') => return Err(self.leading_space().into()),
                Some(_) => {}
            }
            if self.rows.len() == fields_max {
                let detail = format!("the head has more than {fields_max} fields");
                return Err(Refusal::new(Reason::HeadTooLarge, detail).into());
            }
            let row = match read_row(bytes, at) {
                Ok(row) => row,
                Err(LineStop::More) => return Err(ParseStop::More(usize::MAX)),
                Err(LineStop::Fault(fault)) => return Err(self.fault(fault, &bytes[at..]).into()),
            };
            facts.observe(row.known, row.value(bytes))?;
            at = row.end as usize;
            self.rows.push(row);
        }
        if facts.connection.names_fields {
            self.mark_named_by_connection(bytes);
        }
        Ok(at + 2)
    }

    /// Marks the fields that `Connection` names. It compares at most `CONNECTION_OPTIONS_MAX` names with
    /// `fields_max` rows.
    fn mark_named_by_connection(&mut self, bytes: &[u8]) {
        for index in 0..self.rows.len() {
            let row = self.rows[index];
            if row.known != Name::Connection {
                continue;
            }
            let may_be_named = |option: &&[u8]| !identifies_client(option);
            for option in list_items(row.value(bytes)).filter(may_be_named) {
                for row in self.rows.iter_mut().filter(|row| !row.known.is_kept_from_connection()) {
                    row.named_by_connection |= row.name(bytes).eq_ignore_ascii_case(option);
                }
            }
        }
    }

    #[cold]
    fn leading_space(&self) -> Refusal {
        let detail = match self.rows.len() {
            0 => "the first field line starts with white space".to_owned(),
            count => format!("field {} is folded over two lines, which is obsolete", count),
        };
        Refusal::new(Reason::RequestMalformed, detail)
    }

    #[cold]
    fn fault(&self, fault: LineFault, line: &[u8]) -> Refusal {
        let name = &line[..class::token_end(line, 0)];
        let detail = format!("field {} ({}): {}", self.rows.len() + 1, escaped(name), fault.explain());
        Refusal::new(Reason::RequestMalformed, detail)
    }

    /// Name and length of the longest field line, including the unfinished line at the end.
    #[cold]
    pub(super) fn longest<'b>(&self, bytes: &'b [u8]) -> Option<(&'b [u8], usize)> {
        let rest = &bytes[self.rows.last()?.end as usize..];
        let open = (&rest[..class::token_end(rest, 0)], rest.len());
        let rows = self.rows.iter().map(|row| (row.name(bytes), (row.end - row.start) as usize));
        rows.chain([open]).max_by_key(|&(_, length)| length)
    }
}

/// The reason why a field line could not be read.
#[derive(Debug)]
pub(super) enum LineStop {
    /// The end of the line has not come yet.
    More,
    /// The line is not valid.
    Fault(LineFault),
}

/// A fault in a field line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineFault {
    NoName,
    SpaceBeforeColon,
    NoColon,
    NotToken,
    BareCr,
    BareLf,
    Control,
}

impl LineFault {
    /// The rule that the line breaks.
    pub(super) fn explain(self) -> &'static str {
        match self {
            LineFault::NoName => "a field needs a name before the colon",
            LineFault::SpaceBeforeColon => "white space between a field name and its colon is not allowed",
            LineFault::NoColon => "a field line needs a colon",
            LineFault::NotToken => "a byte that is not allowed in a field name",
            LineFault::BareCr => "a CR that no LF follows",
            LineFault::BareLf => "a line that ends in LF alone instead of CRLF",
            LineFault::Control => "a control byte in a field value",
        }
    }
}

/// Reads the field line that starts at `at`. Offsets fit, because a head has at most `u32::MAX` bytes.
///
/// Always inlined: else each row is written to memory twice, once as the result and once in its table.
#[inline(always)]
pub(super) fn read_row(bytes: &[u8], at: usize) -> Result<Row, LineStop> {
    let (known, name_end) = read_name(bytes, at)?;
    let mut value = name_end + 1;
    while let Some(b' ' | b'\t') = bytes.get(value) {
        value += 1;
    }
    let stop = class::value_end(bytes, value);
    match bytes.get(stop..) {
        Some([b'\r', b'\n', ..]) => {}
        None | Some([] | [b'\r']) => return Err(LineStop::More),
        Some([b'\r', ..]) => return Err(LineStop::Fault(LineFault::BareCr)),
        Some([b'\n', ..]) => return Err(LineStop::Fault(LineFault::BareLf)),
        Some(_) => return Err(LineStop::Fault(LineFault::Control)),
    }
    let mut value_end = stop;
    while value_end > value && matches!(bytes[value_end - 1], b' ' | b'\t') {
        value_end -= 1;
    }
    Ok(Row {
        start: at as u32,
        name_end: name_end as u32,
        value: value as u32,
        value_end: value_end as u32,
        end: stop as u32 + 2,
        known,
        named_by_connection: false,
    })
}

/// Reads the name that starts at `at`, up to the colon.
#[inline(always)]
fn read_name(bytes: &[u8], at: usize) -> Result<(Name, usize), LineStop> {
    if let Some((name, length)) = Name::at_start_of(&bytes[at..]) {
        return Ok((name, at + length));
    }
    let end = class::token_end(bytes, at);
    match bytes.get(end) {
        None => Err(LineStop::More),
        Some(b':') if end > at => Ok((Name::classify(&bytes[at..end]), end)),
        Some(&byte) => Err(LineStop::Fault(name_fault(byte, end == at))),
    }
}

#[cold]
fn name_fault(byte: u8, empty: bool) -> LineFault {
    match byte {
        b':' => LineFault::NoName,
        b'\r' => LineFault::NoColon,
        b'\n' => LineFault::BareLf,
        b' ' | b'\t' if !empty => LineFault::SpaceBeforeColon,
        _ => LineFault::NotToken,
    }
}
