//! Keys of pages, and statuses of targets.

use crate::config::keys::ValueError;
use crate::config::plan::{PageKey, StatusPattern};
use crate::reason::Reason;

/// The answers that a page is for: a status, a class or a reason.
pub(crate) fn page_key(text: &str) -> Result<PageKey, ValueError> {
    if let Some(status) = status(text) {
        return Ok(PageKey::Status(status));
    }
    // A reason that clients are not told has no page of its own, which would tell it.
    let mut told = Reason::ALL.iter().copied().filter(|reason| reason.told() == *reason);
    let named = told.find(|reason| reason.code() == text);
    const FORM: &str = "write a status such as 404, a class such as 5xx, or a reason such as no_target";
    let problem = "is neither a status of an error, nor a class, nor a reason";
    named.map(PageKey::Reason).ok_or(ValueError::hint(problem, FORM))
}

/// A status of a target, or a class.
pub(crate) fn intercepted_status(text: &str) -> Result<StatusPattern, ValueError> {
    const FORM: &str = "write for example 502 or 5xx";
    status(text).ok_or(ValueError::hint("is neither a status of an error nor a class", FORM))
}

/// `400` to `599`, `4xx` or `5xx`.
fn status(text: &str) -> Option<StatusPattern> {
    match text.as_bytes() {
        [class @ (b'4' | b'5'), b'x', b'x'] => Some(StatusPattern::Class(u16::from(class - b'0'))),
        [b'4' | b'5', b'0'..=b'9', b'0'..=b'9'] => text.parse().ok().map(StatusPattern::Exact),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_statuses_classes_and_reasons() {
        for text in ["404", "599", "4xx", "5xx", "no_target", "target_starting"] {
            assert_eq!(page_key(text).map(|key| key.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "200", "3xx", "600", "40", "4040", "xxx", "No_Target", "file_forbidden"] {
            assert!(page_key(text).is_err(), "{text}");
        }
        assert_eq!(intercepted_status("5xx").map(|status| status.to_string()).as_deref(), Ok("5xx"));
        assert!(intercepted_status("no_target").is_err() && intercepted_status("301").is_err());
    }
}
