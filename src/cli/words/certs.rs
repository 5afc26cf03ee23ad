//! The words behind the verb `certs`.

/// The first word behind `certs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertsWhat {
    /// An action.
    Action(CertsAction),
    /// A name.
    Name(String),
}

/// The actions of `certs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertsAction {
    /// Order a new certificate now, although it is not due; the limits of the CA are kept.
    Renew,
    /// Revoke the certificate at the CA and order a new one, with another key.
    Revoke,
    /// Look at a name, or at all, as a CA looks at it.
    Check,
    /// Order a certificate at the test system of the CA and throw it away.
    Test,
    /// Print the records of DNS that a person has to write.
    Dns,
    /// Give the account at each CA another key.
    Rollover,
}

impl CertsAction {
    /// Each with its word, and whether it needs a name (`None`: it has none).
    pub const ALL: [(&'static str, Self, Option<bool>); 6] = [
        ("renew", Self::Renew, Some(true)),
        ("revoke", Self::Revoke, Some(true)),
        ("check", Self::Check, Some(false)),
        ("test", Self::Test, Some(true)),
        ("dns", Self::Dns, Some(true)),
        ("rollover", Self::Rollover, None),
    ];
}

impl CertsWhat {
    /// An action has no dot, unlike most names of hosts.
    #[expect(clippy::unnecessary_wraps, reason = "a parser of clap")]
    pub(in crate::cli) fn parse(text: &str) -> Result<Self, String> {
        let action = CertsAction::ALL.iter().find(|(word, ..)| *word == text);
        Ok(action.map_or_else(|| Self::Name(text.to_owned()), |(_, action, _)| Self::Action(*action)))
    }
}
