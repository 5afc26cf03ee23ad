//! What clients have to show, told apart by what it is and not by where it was written.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use crate::config::plan::ClientAuthMode;

/// What the clients of a connection had to show; `None`: nothing. Two that were read from different files,
/// or from one file at different times, are equal when they trust the same authorities.
pub(super) type ClientAuthKey = Option<Arc<Demanded>>;

/// What clients have to show.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Demanded {
    /// The certificates of the authorities, in order of their bytes, each once.
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

/// What a client was let in by: kept of a connection that is not asked for a host again.
pub struct Admission {
    /// The name that it asked for.
    pub(super) name: Option<Box<str>>,
    pub(super) client_auth: ClientAuthKey,
}
