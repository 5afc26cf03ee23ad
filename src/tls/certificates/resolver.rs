//! The choice of a certificate for a client.

use std::fmt;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificates::Certificates;
use crate::config::plan::ClientAuth;
use crate::http::HostKey;

/// Finds a certificate for a client, among those with one `client_auth`.
pub(in crate::tls) struct Resolver {
    pub(in crate::tls) certificates: Arc<Certificates>,
    pub(in crate::tls) client_auth: Option<ClientAuth>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Resolver {
    /// The first certificate whose key the client can check. If its hello allows none, the first of all.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().and_then(|name| HostKey::new(name.as_bytes()));
        let found = self.certificates.find(name.as_ref().map(HostKey::as_bytes)).iter();
        let mut found = found
            .map(|index| self.certificates.entry(*index))
            .filter(|entry| entry.client_auth.as_deref() == self.client_auth.as_ref());
        let first = found.clone().next()?;
        let fits = found.find(|entry| entry.key.key.choose_scheme(hello.signature_schemes()).is_some());
        Some(fits.unwrap_or(first).key.clone())
    }
}
