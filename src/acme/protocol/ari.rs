//! The window in which a CA wants a certificate to be renewed (RFC 9773), without I/O.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::base64;

/// The wait between two looks, if the CA names none, and the limits of what it may name (RFC 9773, section 4.3.1).
const LOOK: Duration = Duration::from_secs(6 * 60 * 60);
const LOOK_MIN: Duration = Duration::from_secs(60);
const LOOK_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const SECONDS_A_DAY: i64 = 86_400;

/// A window, and the time of the next look at it. Times are seconds since 1970.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(in crate::acme) struct Window {
    /// The certificate.
    pub(in crate::acme) id: String,
    pub(in crate::acme) start: u64,
    pub(in crate::acme) end: u64,
    pub(in crate::acme) look: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    suggested_window: Suggested,
}

#[derive(Deserialize)]
struct Suggested {
    start: String,
    end: String,
}

/// The name of a certificate at its CA (RFC 9773, section 4.1).
pub(in crate::acme) fn id(authority_key: &[u8], serial: &[u8]) -> String {
    format!("{}.{}", base64::url(authority_key), base64::url(serial))
}

impl Window {
    /// Reads the answer of a CA. A window that ends before it starts is none.
    pub(in crate::acme) fn read(
        id: &str,
        body: &[u8],
        now: u64,
        retry_after: Option<Duration>,
    ) -> Result<Self, String> {
        let answer: Answer =
            serde_json::from_slice(body).map_err(|error| format!("the CA sent no valid window: {error}"))?;
        let Suggested { start, end } = answer.suggested_window;
        let times = timestamp(&start).zip(timestamp(&end)).filter(|(start, end)| start < end);
        let (start, end) = times.ok_or("the CA sent a window that has no time")?;
        let look = now + retry_after.unwrap_or(LOOK).clamp(LOOK_MIN, LOOK_MAX).as_secs();
        Ok(Self { id: id.to_owned(), start, end, look })
    }

    /// The time to renew. `jitter`, from 0 to 1, is always that of the name, so it stays while the window stays.
    pub(in crate::acme) fn time(&self, jitter: f64) -> u64 {
        self.start + ((self.end - self.start) as f64 * jitter) as u64
    }
}

/// A time as RFC 3339 writes it, in seconds since 1970. `None` before that, and if it is not valid.
fn timestamp(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let zone = rest.rfind(['Z', 'z', '+', '-'])?;
    let (time, zone) = rest.split_at(zone);
    let numbers =
        |text: &str, between| text.split(between).map(|part| part.parse().ok()).collect::<Option<Vec<i64>>>();
    let seconds = |parts: &[i64]| parts.iter().fold(0, |seconds, part| seconds * 60 + part);
    let [year, month, day] = numbers(date, '-')?[..] else { return None };
    let time = numbers(time.split('.').next()?, ':').filter(|parts| parts.len() == 3)?;
    let offset = match zone.split_at_checked(1)? {
        ("+", ahead) => seconds(&numbers(ahead, ':')?) * 60,
        ("-", behind) => seconds(&numbers(behind, ':')?) * -60,
        _ => 0,
    };
    let is_sound = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    let is_time = time[0] < 24 && time[1] < 60 && time[2] <= 60 && time.iter().all(|part| *part >= 0);
    if !is_sound || !is_time || offset.abs() > SECONDS_A_DAY {
        return None;
    }
    u64::try_from(days(year, month, day) * SECONDS_A_DAY + seconds(&time) - offset).ok()
}

/// Days from 1970-01-01. Years are counted from March, so that the leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let shifted = (month + 9) % 12;
    // Days from 0000-03-01 to 1970-01-01.
    year * 365 + year / 4 - year / 100 + year / 400 + (153 * shifted + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_certificate_is_that_of_the_rfc() {
        let key = [
            0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1, 0xb3, 0x7b, 0x84, 0x7b, 0xa0, 0xae, 0x2c,
            0xde, 0x01, 0xc8, 0xd4,
        ];
        assert_eq!(id(&key, &[0x00, 0x87, 0x65, 0x43, 0x21]), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
    }

    #[test]
    fn times_are_read() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:00Z", Some(951_825_600)),
            ("2021-01-03T00:00:00.123456Z", Some(1_609_632_000)),
            ("2021-01-03T01:30:00+01:30", Some(1_609_632_000)),
            ("2021-01-02T22:30:00-01:30", Some(1_609_632_000)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400)),
            ("1969-12-31T23:59:59Z", None),
            ("2021-13-01T00:00:00Z", None),
            ("2021-01-01T00:00Z", None),
            ("2021-01-01T25:00:00Z", None),
            ("2021-01-01T-1:00:00Z", None),
            ("2021-01-01", None),
            ("", None),
            ("9999999999999999999-01-01T00:00:00Z", None),
            ("2021-01-01T00:00:00+99999999999999:9", None),
        ] {
            assert_eq!(timestamp(text), expected, "{text}");
        }
    }

    #[test]
    fn a_window_is_read_and_a_hostile_one_is_none() {
        let body =
            r#"{ "suggestedWindow": { "start": "2021-01-03T00:00:00Z", "end": "2021-01-07T00:00:00Z" } }"#;
        let window = Window::read("x", body.as_bytes(), 100, None).unwrap();
        assert_eq!((window.start, window.end, window.look), (1_609_632_000, 1_609_977_600, 100 + 21_600));
        assert_eq!((window.time(0.0), window.time(1.0)), (window.start, window.end));
        for (asked, looked) in [(0, 60), (3_600, 3_600), (10_000_000, 86_400)] {
            let window = Window::read("x", body.as_bytes(), 0, Some(Duration::from_secs(asked))).unwrap();
            assert_eq!(window.look, looked);
        }
        let turned = body.replace("01-07", "01-03");
        for wrong in [&*turned, "", "{}", "<html>", &body.replace("2021", "x")] {
            assert!(Window::read("x", wrong.as_bytes(), 0, None).is_err(), "{wrong}");
        }
    }
}
