//! Requirements for client certificates, compared by their content and not by where they were written.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use crate::config::plan::ClientAuthMode;

/// The requirements for the client certificate of a connection; `None` if there are none. They may be read
/// from different files, or from one file at different times. They are equal if mode and authorities are.
pub(super) type ClientAuthKey = Option<Arc<Demanded>>;

/// The requirements for a client certificate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Demanded {
    /// The certificates of the authorities, sorted by their bytes, each once.
    authorities: Vec<CertificateDer<'static>>,
    mode: ClientAuthMode,
}

impl Demanded {
    pub(super) fn new(mut authorities: Vec<CertificateDer<'static>>, mode: ClientAuthMode) -> Self {
        authorities.sort_unstable_by(|one, two| one.as_ref().cmp(two.as_ref()));
        authorities.dedup();
        Self { authorities, mode }
    }
}

/// The name and the requirements under which a client was accepted. They are kept for a connection whose
/// requests are no longer seen, such as a tunnel.
pub struct Admission {
    /// The server name that the client asked for.
    pub(super) name: Option<Box<str>>,
    pub(super) client_auth: ClientAuthKey,
}
