//! The error of a value.

/// The reason why a text is not a valid value. It is static text, so that no part of a filled-in value, which may
/// be a secret, can get into a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueError {
    /// The end of a sentence that begins with the quoted value: "is not a duration".
    pub(crate) problem: &'static str,
    /// A hint: what to write instead.
    pub(crate) hint: Option<&'static str>,
}

impl ValueError {
    pub(crate) const fn new(problem: &'static str) -> ValueError {
        ValueError { problem, hint: None }
    }

    pub(crate) const fn hint(problem: &'static str, hint: &'static str) -> ValueError {
        ValueError { problem, hint: Some(hint) }
    }
}
