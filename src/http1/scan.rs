//! The search for the end of a head. A head that comes byte by byte costs no more than its length.

use memchr::memchr_iter;

use super::field_lines::ParseStop;
use crate::http::{FieldTable, HeadLimits, Refusal, escaped};
use crate::reason::Reason;

/// Remembers how far the search for the end of a head went.
///
/// The first attempt parses the head in one pass, because it is mostly complete. If it is not, further bytes
/// are only searched, each once. When the empty line, a line that ends in LF alone, or a limit shows up, the
/// head is parsed again. After an `Ok(Some)` or an `Err` the scan is as new.
///
/// Between two calls for one head, its bytes may move in memory but not change. The head must still start at
/// the first byte.
#[derive(Clone, Debug, Default)]
pub struct HeadScan {
    /// Bytes that were searched without a result; 0 before the first attempt.
    searched: usize,
    /// The number of bytes at which to parse again, even without an end.
    retry_at: usize,
    /// Whether the head is the form of one of HTTP/2, whose version is 2.0.
    pub(super) is_form: bool,
    /// The number of attempts to parse, for a test.
    #[cfg(test)]
    pub(super) attempts: usize,
    /// The number of bytes that were searched, for a test.
    #[cfg(test)]
    pub(super) bytes_searched: usize,
}

impl HeadScan {
    /// A scan of one head. Only the form of a head of HTTP/2 may have the version 2.0.
    #[inline(always)]
    pub fn new(is_form: bool) -> HeadScan {
        HeadScan { is_form, ..HeadScan::default() }
    }

    /// Runs `read`, which fills the table, if it can come to a result with these bytes.
    pub(super) fn drive<'b, T>(
        &mut self,
        bytes: &'b [u8],
        limits: &HeadLimits,
        table: &mut FieldTable,
        read: impl FnOnce(&'b [u8], &mut FieldTable) -> Result<T, ParseStop>,
    ) -> Result<Option<T>, Refusal> {
        // The table keeps offsets in 32 bits.
        let cap = limits.bytes.min(u32::MAX as usize);
        let window = &bytes[..bytes.len().min(cap)];
        if !self.is_worth_parsing(window, cap) {
            return Ok(None);
        }
        #[cfg(test)]
        {
            self.attempts += 1;
        }
        table.clear();
        let outcome = match read(window, table) {
            Ok(head) => Ok(Some(head)),
            Err(ParseStop::Refused(refusal)) => Err(refusal),
            Err(ParseStop::More(retry_at)) if window.len() < cap => {
                self.searched = window.len();
                self.retry_at = retry_at;
                return Ok(None);
            }
            Err(ParseStop::More(_)) => Err(too_large(window, cap, table)),
        };
        self.searched = 0;
        outcome
    }

    fn is_worth_parsing(&mut self, window: &[u8], cap: usize) -> bool {
        if self.searched == 0 || window.len() >= self.retry_at || window.len() == cap {
            return true;
        }
        let new = window.get(self.searched..).unwrap_or_default();
        #[cfg(test)]
        {
            self.bytes_searched += new.len();
        }
        for at in memchr_iter(b'\n', new) {
            let line = &window[..self.searched + at];
            match line {
                [.., b'\n', b'\r'] => return true,
                [.., b'\r'] => {}
                _ => return true,
            }
        }
        self.searched = window.len();
        false
    }
}

/// The refusal of a head that is too large, with its longest field.
#[cold]
fn too_large(window: &[u8], cap: usize, table: &FieldTable) -> Refusal {
    let detail = match table.longest(window) {
        Some((name, length)) => format!(
            "the head is larger than {cap} bytes; its longest field, {}, has {length} bytes so far",
            escaped(name)
        ),
        None => format!("the head is larger than {cap} bytes"),
    };
    Refusal::new(Reason::HeadTooLarge, detail)
}
