//! Problems with certificates, described for people.

use crate::config::plan::Origin;

/// A problem with a certificate or with a `client_auth`. Everything else is served.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The place where the file was named.
    pub origin: Origin,
    /// Whether the certificate works all the same, for now.
    pub is_warning: bool,
    /// The message: what is wrong.
    pub message: String,
    /// The hint: what to do about it. May be empty.
    pub hint: String,
}

/// The message and the hint of a problem.
pub(in crate::tls) type ProblemText = (String, &'static str);

impl Problem {
    pub(in crate::tls) fn error(origin: &Origin, message: String, hint: &str) -> Self {
        Self { origin: origin.clone(), is_warning: false, message, hint: hint.into() }
    }
}
