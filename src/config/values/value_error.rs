//! Why a text is not a value.

/// Why a text is not the value it should be. Static text, so that nothing of a value that was
/// filled in (it may be a secret) can slip into a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueError {
    /// Goes after the quoted value: "is not a duration".
    pub(crate) problem: &'static str,
    /// What to write instead.
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
