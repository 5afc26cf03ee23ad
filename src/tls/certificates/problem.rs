//! Problems with certificates, described for people.

use rustls::pki_types::pem;

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

/// An error of a PEM file in words. It does not quote the file, which may hold a key.
pub(super) fn of_pem(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            format!("the line `-----END {}-----` is missing", String::from_utf8_lossy(end_marker))
        }
        pem::Error::IllegalSectionStart { .. } => "a line `-----BEGIN` has no end of five dashes".to_owned(),
        pem::Error::Base64Decode(_) => "a line between `-----BEGIN` and `-----END` is not base64".to_owned(),
        error => error.to_string(),
    }
}
