//! The place of an access log.

use crate::config::keys::ValueError;
use crate::config::plan::AccessLogTo;

/// Words of other programs that would otherwise become names of files.
const NO_FILES: [&str; 13] = [
    "on", "true", "yes", "1", "enabled", "stderr", "no", "0", "none", "disabled", "json", "combined", "human",
];

/// `stdout` and `off`, of which the inner `None` stands for `off`. The outer `None` stands for any path.
pub(crate) fn word(text: &str) -> Result<Option<Option<AccessLogTo>>, ValueError> {
    let word = text.to_ascii_lowercase();
    match word.as_str() {
        "stdout" => Ok(Some(Some(AccessLogTo::Stdout))),
        "off" | "false" => Ok(Some(None)),
        word if NO_FILES.contains(&word) => Err(ValueError::hint(
            "is not a place for an access log",
            "write `stdout`, `off`, or the path of a file such as \"/var/log/access.log\"",
        )),
        _ => Ok(None),
    }
}
