//! The result of a look.

/// The result of a look at one matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::acme) struct Finding {
    /// The matter in one word.
    pub(in crate::acme) what: &'static str,
    pub(in crate::acme) state: State,
    /// A sentence for a person.
    pub(in crate::acme) text: String,
}

/// The state of a matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::acme) enum State {
    Fine,
    /// It could not be found out, or is worth a thought.
    Unclear,
    /// An order would fail.
    Bad,
}

impl State {
    /// One lower-case word.
    pub(in crate::acme) fn word(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Unclear => "unclear",
            Self::Bad => "bad",
        }
    }
}

impl Finding {
    pub(super) fn fine(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, state: State::Fine, text: text.into() }
    }

    pub(super) fn unclear(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, state: State::Unclear, text: text.into() }
    }

    pub(super) fn bad(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, state: State::Bad, text: text.into() }
    }
}
