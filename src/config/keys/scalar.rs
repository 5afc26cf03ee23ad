//! Single values: durations, sizes, counts, names, words of a fixed set.
//!
//! Each function parses the whole text of a value after substitution.

use std::time::Duration;

use super::value_error::ValueError;

/// Any duration, zero included: `500ms`, `5s`, `1m30s`, `2h`, `1d`, or a number of seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, ValueError> {
    const LONG: ValueError = ValueError::hint("is longer than a year", "write at most \"365d\"");
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split_number(rest).ok_or(not_a_duration(text))?;
        let unit = after.trim_start_matches(' ');
        let after = if unit.is_empty() { after } else { unit };
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let milliseconds = match &after[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            // A number without a unit is seconds only if it stands alone, because `1m30` is ambiguous.
            "" if after.is_empty() && rest.len() == text.len() => 1_000,
            _ => return Err(not_a_duration(text)),
        };
        total = number.checked_mul(milliseconds).and_then(|one| total.checked_add(one)).ok_or(LONG)?;
        rest = &after[letters..];
    }
    match total {
        _ if text.is_empty() => Err(not_a_duration(text)),
        // The sum with the current time must never overflow a clock.
        31_536_000_001.. => Err(LONG),
        milliseconds => Ok(Duration::from_millis(milliseconds)),
    }
}

/// The error of a text that is not a duration, with the most likely cause.
fn not_a_duration(text: &str) -> ValueError {
    let hint = match text {
        _ if NEVER.contains(&text) => FOREVER,
        _ if is_fraction(text) => {
            "a duration has no fraction: 1.5s is written \"1500ms\", and 1.5h \"1h30m\""
        }
        _ if text.contains(char::is_whitespace) => {
            "only a number and its unit may have a space between them; the units are ms, s, m, h and d: \"5s\", \"1m30s\""
        }
        _ if text.starts_with(|char: char| char.is_ascii_digit()) => {
            "the units are ms, s, m, h and d, one after each number: \"500ms\", \"1m30s\""
        }
        _ => "write for example \"500ms\", \"5s\", \"1m30s\" or a number of seconds",
    };
    ValueError::hint("is not a duration", hint)
}

/// Words of other programs for a limit that there is not.
const NEVER: [&str; 7] = ["off", "never", "none", "infinity", "infinite", "unlimited", "-1"];

const FOREVER: &str = "there is no value for \"never\"; write a long one, such as \"1d\"";

/// Whether a text begins like `1.5`.
fn is_fraction(text: &str) -> bool {
    let rest = text.trim_start_matches(|char: char| char.is_ascii_digit());
    rest.strip_prefix(['.', ',']).is_some_and(|rest| rest.starts_with(|char: char| char.is_ascii_digit()))
}

/// A duration that is not zero.
pub(crate) fn timeout(text: &str) -> Result<Duration, ValueError> {
    match duration(text)? {
        Duration::ZERO => Err(ValueError::hint("is zero, which is no time-out", FOREVER)),
        duration => Ok(duration),
    }
}

/// A number of bytes: `65536`, `64KiB`, `10MB`.
pub(crate) fn size(text: &str) -> Result<u64, ValueError> {
    let (number, unit) = split_number(text).ok_or(not_a_size(text))?;
    let factor: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "k" | "K" | "M" | "G" => {
            return Err(ValueError::hint(
                "has a unit that is not clear",
                "write KiB, MiB or GiB to count by 1024, as nginx does, or KB, MB or GB to count by 1000",
            ));
        }
        _ => return Err(not_a_size(text)),
    };
    number
        .checked_mul(factor)
        .filter(|size| i64::try_from(*size).is_ok())
        .ok_or(ValueError::new("is too large a size"))
}

/// The error of a text that is not a size, with the most likely cause.
fn not_a_size(text: &str) -> ValueError {
    let digits = text.trim_start_matches(|char: char| char.is_ascii_digit() || char == '.');
    let unit = digits.trim_start().to_ascii_lowercase();
    let hint = match &*unit {
        _ if is_fraction(text) => {
            "a size has no fraction: 1.5MB is written \"1500kB\", and 1.5MiB \"1536KiB\""
        }
        "b" | "kb" | "mb" | "gb" | "tb" | "kib" | "mib" | "gib" | "tib" | "m" | "g"
            if digits.len() < text.len() =>
        {
            "capitals count: write for example \"64KiB\", \"10MB\" or a number of bytes"
        }
        _ => "write for example \"64KiB\", \"10MB\" or a number of bytes",
    };
    ValueError::hint("is not a size", hint)
}

/// A body limit. `unlimited` removes the limit of a listener.
pub(crate) fn body_limit(text: &str) -> Result<Option<u64>, ValueError> {
    match text {
        "unlimited" => Ok(None),
        _ if NEVER.contains(&text) => {
            Err(ValueError::hint("is not a size", "write `unlimited` for a body of any size"))
        }
        _ => size(text).map(Some),
    }
}

/// A size from 1 KiB to 1 MiB, because every connection may hold a request head in memory.
pub(crate) fn head_size(text: &str) -> Result<usize, ValueError> {
    match size(text)? {
        size @ 1_024..=1_048_576 => Ok(size as usize),
        _ => Err(ValueError::new("is not between 1KiB and 1MiB")),
    }
}

/// A size from 64 bytes to 1 MiB, for the target of a request.
pub(crate) fn target_size(text: &str) -> Result<usize, ValueError> {
    match size(text)? {
        size @ 64..=1_048_576 => Ok(size as usize),
        _ => Err(ValueError::new("is not between 64 bytes and 1MiB")),
    }
}

/// A size from 1 byte to 16 MiB, for a body in memory.
pub(crate) fn buffer_size(text: &str) -> Result<u64, ValueError> {
    match size(text)? {
        size @ 1..=16_777_216 => Ok(size),
        _ => Err(ValueError::new("is not between 1 byte and 16MiB")),
    }
}

/// A number of field lines.
pub(crate) fn field_count(text: &str) -> Result<usize, ValueError> {
    count(text, 1..=4_096, "is not a number between 1 and 4096")
}

/// A number of worker threads.
pub(crate) fn worker_count(text: &str) -> Result<usize, ValueError> {
    let error = ValueError::hint("is not a number between 1 and 1024", "leave it out for one per core");
    count(text, 1..=1_024, error.problem).map_err(|_| error)
}

/// A number of connections.
pub(crate) fn connection_count(text: &str) -> Result<usize, ValueError> {
    count(text, 1..=10_000_000, "is not a number between 1 and 10000000")
}

/// A number of targets to try.
pub(crate) fn tries(text: &str) -> Result<usize, ValueError> {
    count(text, 1..=100, "is not a number between 1 and 100")
}

/// A number of requests that wait.
pub(crate) fn held(text: &str) -> Result<usize, ValueError> {
    count(text, 1..=100_000, "is not a number between 1 and 100000")
}

/// A number of idle connections.
pub(crate) fn idle_count(text: &str) -> Result<usize, ValueError> {
    count(text, 0..=100_000, "is not a number between 0 and 100000")
}

/// A number of requests or connections at an endpoint.
pub(crate) fn place_count(text: &str) -> Result<u32, ValueError> {
    count(text, 1..=1_000_000, "is not a number between 1 and 1000000").map(|count| count as u32)
}

fn count(
    text: &str,
    range: std::ops::RangeInclusive<usize>,
    problem: &'static str,
) -> Result<usize, ValueError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && range.contains(number)).ok_or(ValueError::new(problem))
}

/// Refuses a flag in other words where a name may stand beside `true` and `false`.
pub(crate) fn no_flag(text: &str) -> Result<(), ValueError> {
    let hint = match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "y" | "1" | "enabled" | "true" => "write `true`",
        "no" | "off" | "n" | "0" | "disabled" | "false" | "none" => "write `false`",
        _ => return Ok(()),
    };
    Err(ValueError::hint("is neither true nor false, and no name", hint))
}

/// `true` or `false`.
pub(crate) fn flag(text: &str) -> Result<bool, ValueError> {
    match text {
        "true" | "True" | "TRUE" => Ok(true),
        "false" | "False" | "FALSE" => Ok(false),
        _ => Err(ValueError::hint(
            "is neither true nor false",
            match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "1" | "enabled" => "write `true`",
                "no" | "off" | "n" | "0" | "disabled" => "write `false`",
                _ => "write `true` or `false`",
            },
        )),
    }
}

/// The name of a listener, a rule or an upstream. It is shown in logs and metrics.
pub(crate) fn name(text: &str) -> Result<std::sync::Arc<str>, ValueError> {
    match text {
        "" => Err(ValueError::new("is not a name: it is empty")),
        _ if text.len() > 128 => Err(ValueError::new("is longer than 128 bytes")),
        _ if text.trim() != text => Err(ValueError::new("is not a name: it starts or ends with a space")),
        _ if text.chars().any(char::is_control) => {
            Err(ValueError::new("is not a name: it holds a control character"))
        }
        _ => Ok(text.into()),
    }
}

/// The leading digits and the rest. There is no sign, no underscore and no fraction.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

/// A duration in the form of [`duration`], in the largest unit that is exact.
pub(crate) fn show_duration(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "0s".into(),
        ms if ms % 1_000 != 0 => format!("{ms}ms"),
        ms if ms % 60_000 != 0 => format!("{}s", ms / 1_000),
        ms if ms % 3_600_000 != 0 => format!("{}m", ms / 60_000),
        ms => format!("{}h", ms / 3_600_000),
    }
}

/// A size in the form of [`size`], in the largest unit that is exact.
pub(crate) fn show_size(size: u64) -> String {
    match size {
        0 => "0".into(),
        _ if size.is_multiple_of(1 << 30) => format!("{}GiB", size >> 30),
        _ if size.is_multiple_of(1 << 20) => format!("{}MiB", size >> 20),
        _ if size.is_multiple_of(1 << 10) => format!("{}KiB", size >> 10),
        _ => size.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("5s", 5_000),
            ("5", 5_000),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("5 s", 5_000),
            ("0", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in [
            "",
            "s",
            "5x",
            "-1s",
            "+1s",
            "1.5s",
            "5 ",
            "1m 30s",
            "1m30",
            "30 1m",
            "1_000s",
            "99999999999999999999s",
            "366d",
            "18446744073709551615d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(timeout("0s").is_err());
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("64KiB", 65_536),
            ("10MB", 10_000_000),
            ("10 MB", 10_000_000),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "64K", "-1", "0x10", "1.5MB", "9999999TiB", "9223372036854775808"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_error_says_what_to_write() {
        let hint = |error: ValueError| error.hint.unwrap_or_default();
        for (text, expected) in [
            ("1.5s", "\"1500ms\""),
            ("0,5h", "\"1h30m\""),
            ("1m 30s", "only a number and its unit"),
            ("5 minutes", "the units are ms, s, m, h and d"),
            ("400d", "at most \"365d\""),
            ("5min", "the units are ms, s, m, h and d"),
            ("1m30", "one after each number"),
            ("off", "no value for \"never\""),
            ("-1", "no value for \"never\""),
            ("soon", "write for example \"500ms\""),
            ("", "write for example \"500ms\""),
        ] {
            assert!(hint(timeout(text).unwrap_err()).contains(expected), "{text}");
        }
        for (text, expected) in [
            ("10M", "write KiB, MiB or GiB"),
            ("64k", "as nginx does"),
            ("1.5MB", "\"1500kB\""),
            ("10mb", "capitals count"),
            ("10 mib", "capitals count"),
            ("1m", "capitals count"),
            ("mb", "write for example \"64KiB\""),
            ("0x10", "write for example \"64KiB\""),
            ("off", "write `unlimited`"),
            ("-1", "write `unlimited`"),
        ] {
            assert!(hint(body_limit(text).unwrap_err()).contains(expected), "{text}");
        }
        for (text, expected) in [("yes", "`true`"), ("ON", "`true`"), ("no", "`false`"), ("off", "`false`")] {
            assert_eq!(hint(flag(text).unwrap_err()), format!("write {expected}"), "{text}");
        }
        assert_eq!(hint(flag("maybe").unwrap_err()), "write `true` or `false`");
    }

    #[test]
    fn a_shown_value_parses_to_itself() {
        for milliseconds in [0, 1, 999, 1_000, 1_500, 60_000, 90_000, 3_600_000, 86_400_000] {
            let value = Duration::from_millis(milliseconds);
            assert_eq!(duration(&show_duration(value)), Ok(value));
        }
        for bytes in [0, 1, 1_000, 1_024, 65_536, 10_000_000, 1 << 30, i64::MAX as u64] {
            assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }
    }

    #[test]
    fn counts_take_digits_only() {
        assert_eq!(tries("2"), Ok(2));
        for text in ["0", "+2", "-2", "101", "", "2.0", "99999999999999999999999"] {
            assert!(tries(text).is_err(), "{text}");
        }
    }
}
