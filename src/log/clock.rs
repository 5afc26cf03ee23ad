//! Times of log lines: UTC, without a calendar library.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_A_DAY: u64 = 86_400;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A point in time as a date. Times before 1970 count as 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Utc {
    year: u64,
    /// 1 to 12.
    month: u64,
    /// 1 to 31.
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    millisecond: u32,
}

impl From<SystemTime> for Utc {
    fn from(time: SystemTime) -> Utc {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs() % SECONDS_A_DAY;
        let (year, month, day) = civil(since.as_secs() / SECONDS_A_DAY);
        Utc {
            year,
            month,
            day,
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            millisecond: since.subsec_millis(),
        }
    }
}

/// The date `days` after 1970-01-01.
///
/// Years are counted from March, so that the leap day is the last of its year; 400 such years always have
/// 146,097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_IN_400_YEARS: u64 = 146_097;
    // Days from 0000-03-01 to 1970-01-01.
    let days = days + 719_468;
    let era = days / DAYS_IN_400_YEARS;
    let of_era = days % DAYS_IN_400_YEARS;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // From March on, months have 31, 30, 31, 30, 31 days, repeated: 153 days in five months.
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// Formats as RFC 3339 with milliseconds: `2026-03-01T12:00:00.250Z`.
impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Utc { year, month, day, hour, minute, second, millisecond } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
    }
}

impl Utc {
    /// The time of day: `12:00:00`.
    pub(crate) fn time(&self) -> String {
        let Utc { hour, minute, second, .. } = self;
        format!("{hour:02}:{minute:02}:{second:02}")
    }

    /// The form of the combined log format: `01/Mar/2026:12:00:00 +0000`.
    pub(crate) fn combined(&self) -> String {
        let Utc { year, day, hour, minute, second, .. } = self;
        let month = MONTHS[self.month as usize - 1];
        format!("{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64, millis: u64) -> Utc {
        Utc::from(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(millis))
    }

    #[test]
    fn known_times() {
        assert_eq!(at(0, 0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_399, 999).to_string(), "2000-02-28T23:59:59.999Z");
        assert_eq!(at(951_782_400, 0).to_string(), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(1_709_210_096, 7).to_string(), "2024-02-29T12:34:56.007Z");
        assert_eq!(at(4_107_542_400, 0).to_string(), "2100-03-01T00:00:00.000Z");
        assert_eq!(at(1_709_210_096, 7).time(), "12:34:56");
        assert_eq!(at(1_709_210_096, 7).combined(), "29/Feb/2024:12:34:56 +0000");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let length = |year: u64, month| match month {
            2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let mut expected = (1970, 1, 1);
        for days in 0..200_000 {
            assert_eq!(civil(days), expected, "{days}");
            let (year, month, day) = expected;
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (month, day) if day == length(year, month) => (year, month + 1, 1),
                (month, day) => (year, month, day + 1),
            };
        }
    }
}
