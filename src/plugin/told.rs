//! Lines of plugins in the log of the gate.

use std::time::{Duration, Instant};

/// Lines of one plugin that are logged in a second.
const LINES_MAX: u32 = 100;

/// Bytes of the arguments of a line.
const ARGUMENTS_MAX: usize = 4 * 1024;

/// Counts lines, so that a plugin cannot fill the log.
#[derive(Debug, Default)]
pub(super) struct Told {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl Told {
    /// Whether a line is logged. If so, the result is how many were left out before it.
    pub(super) fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.began.is_none_or(|began| now.saturating_duration_since(began) >= Duration::from_secs(1)) {
            (self.began, self.lines) = (Some(now), 0);
        }
        if self.lines >= LINES_MAX {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

/// Logs a line.
pub(super) fn show(plugin: &str, level: &str, message: &str, args: &[serde_json::Value], left_out: u64) {
    let args = arguments(args);
    let args = (!args.is_empty()).then_some(&*args);
    let left_out = (left_out > 0).then_some(left_out);
    match level {
        "debug" => tracing::debug!(plugin, args, left_out, "{message}"),
        "warn" => tracing::warn!(plugin, args, left_out, "{message}"),
        "error" => tracing::error!(plugin, args, left_out, "{message}"),
        _ => tracing::info!(plugin, args, left_out, "{message}"),
    }
}

/// Keys and values in turn, as `key=value`.
fn arguments(args: &[serde_json::Value]) -> String {
    let mut text = String::new();
    for (at, argument) in args.iter().enumerate() {
        let separator = if at == 0 {
            ""
        } else if at % 2 == 0 {
            " "
        } else {
            "="
        };
        text.push_str(separator);
        match argument {
            serde_json::Value::String(value) => text.push_str(value),
            value => text.push_str(&value.to_string()),
        }
        if text.len() > ARGUMENTS_MAX {
            text.truncate(text.floor_char_boundary(ARGUMENTS_MAX));
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_limit_are_counted() {
        let (mut told, now) = (Told::default(), Instant::now());
        assert!((0..LINES_MAX).all(|_| told.admit(now) == Some(0)));
        assert_eq!((told.admit(now), told.admit(now)), (None, None));
        let later = now + Duration::from_secs(1);
        assert_eq!((told.admit(later), told.admit(later)), (Some(2), Some(0)));
    }

    #[test]
    fn arguments_are_pairs() {
        assert_eq!(arguments(&["a".into(), 1.into(), "b".into(), "c".into()]), "a=1 b=c");
        assert_eq!(arguments(&[]), "");
    }
}
