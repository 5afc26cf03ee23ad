//! A proof that a server heeds the conditions of writes. Some take every write.

use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;

use super::values::{Changed, Expect, Values, Version};

/// A version that no server gives.
const NO_VERSION: &str = "\"00000000000000000000000000000000\"";

/// Writes a value of its own under `key`, which is random, and removes it.
///
/// # Errors
/// The server ignores a condition, so two gates could order at once: `Unsupported`. Or it does not answer.
pub(super) fn probe(values: &dyn Values, key: &str) -> Result<()> {
    let result = try_out(values, key);
    // A value that stays does no harm.
    let _ = values.delete(key);
    result
}

fn try_out(values: &dyn Values, key: &str) -> Result<()> {
    let ignores = |what: &str| {
        let text =
            format!("the server ignores {what}: two gates could order at once, so it cannot be shared");
        Err(Error::new(ErrorKind::Unsupported, text))
    };
    let Ok(first) = values.put(key, b"1", Expect::Absent)? else {
        return Err(Error::new(ErrorKind::Unsupported, "the server refuses to write an object that is new"));
    };
    if values.put(key, b"2", Expect::Absent)? != Err(Changed) {
        return ignores("If-None-Match");
    }
    if values.put(key, b"3", Expect::At(&Version(Arc::from(NO_VERSION))))? != Err(Changed) {
        return ignores("If-Match");
    }
    let Ok(second) = values.put(key, b"4", Expect::At(&first))? else {
        return ignores("the version that it gave itself");
    };
    if values.put(key, b"5", Expect::At(&first))? != Err(Changed) {
        return ignores("If-Match");
    }
    match values.get(key)? {
        Some((value, version)) if value == b"4" && version == second => Ok(()),
        _ => Err(Error::new(ErrorKind::Unsupported, "the server reads another value than was written last")),
    }
}
