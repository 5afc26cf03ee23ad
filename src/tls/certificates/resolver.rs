//! The choice of a certificate for a client.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificates::Certificates;
use super::issued::Issued;
use crate::config::plan::ClientAuth;
use crate::http::HostKey;

/// Finds a certificate for a client, among those with one `client_auth`.
pub(in crate::tls) struct Resolver {
    pub(in crate::tls) certificates: Arc<Certificates>,
    pub(in crate::tls) client_auth: Option<ClientAuth>,
    /// Certificates for names that no file has. `None` if the names of this `client_auth` have none.
    pub(in crate::tls) ordered: Option<Ordered>,
}

/// Names for which certificates are ordered, and those certificates.
#[derive(Clone)]
pub(in crate::tls) struct Ordered {
    pub(in crate::tls) names: Arc<HashSet<Box<str>>>,
    pub(in crate::tls) issued: Arc<Issued>,
}

impl Ordered {
    /// The certificate for a name, if it is one of these.
    pub(in crate::tls) fn key(&self, name: Option<&HostKey>) -> Option<Arc<CertifiedKey>> {
        let name = std::str::from_utf8(name?.as_bytes()).ok()?;
        if self.names.contains(name) { self.issued.key(name) } else { None }
    }
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
        if let Some(ordered) = self.ordered.as_ref().and_then(|ordered| ordered.key(name.as_ref())) {
            return Some(ordered);
        }
        let found = self.certificates.find(name.as_ref().map(HostKey::as_bytes)).iter();
        let mut found = found
            .map(|index| self.certificates.entry(*index))
            .filter(|entry| entry.client_auth.as_deref() == self.client_auth.as_ref());
        let first = found.clone().next()?;
        let fits = found.find(|entry| entry.key.key.choose_scheme(hello.signature_schemes()).is_some());
        Some(fits.unwrap_or(first).key.clone())
    }
}
