//! The `Date` line, formatted once for many responses.

use std::cell::Cell;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime};

use httpdate::HttpDate;

use crate::worker::{Buffer, Worker};

/// The time for which a line is reused. `Date` counts in seconds.
const FRESH: Duration = Duration::from_millis(500);

/// `Date: Sun, 06 Nov 1994 08:49:37 GMT` and its line end (RFC 9110, section 5.6.7).
const LINE_BYTES: usize = 37;

/// The current `Date` line of one worker.
#[derive(Default)]
pub struct DateHeader {
    line: Cell<Option<(Instant, [u8; LINE_BYTES])>>,
}

impl DateHeader {
    /// Appends the line to `out`.
    pub(crate) fn write(&self, worker: &Worker, out: &mut Buffer) {
        let now = worker.now();
        let line = match self.line.get() {
            Some((made, line)) if now.saturating_duration_since(made) < FRESH => line,
            _ => {
                let line = line(SystemTime::now());
                self.line.set(Some((now, line)));
                line
            }
        };
        out.extend(&line);
    }
}

fn line(time: SystemTime) -> [u8; LINE_BYTES] {
    let mut line = [0; LINE_BYTES];
    write!(&mut line[..], "Date: {}\r\n", HttpDate::from(time))
        .expect("invariant: every HTTP date has the same length");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_line_has_the_format_of_http() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(&line(time), b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    }
}
