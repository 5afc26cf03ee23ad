//! The choice of a certificate for a client.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificates::Certificates;
use super::issued::Issued;
use super::subject::address_of;
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
    names: Arc<HashSet<Box<str>>>,
    /// Those of `names` that begin with `*.`, by the rest.
    wildcards: Arc<HashMap<Box<str>, Box<str>>>,
    /// Those of `names` that are addresses, in the order of the rules.
    addresses: Arc<[(IpAddr, Box<str>)]>,
    issued: Arc<Issued>,
}

impl Ordered {
    pub(in crate::tls) fn new(names: Vec<Box<str>>, issued: Arc<Issued>) -> Self {
        let wildcard = |name: &str| Some((name.strip_prefix("*.")?.into(), name.into()));
        let wildcards = Arc::new(names.iter().filter_map(|name| wildcard(name)).collect());
        let address = |name: &str| Some((address_of(name)?, name.into()));
        let addresses = names.iter().filter_map(|name| address(name)).collect();
        Self { names: Arc::new(names.into_iter().collect()), wildcards, addresses, issued }
    }

    /// The names, in no order.
    pub(in crate::tls) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// The certificates.
    pub(in crate::tls) fn issued(&self) -> &Arc<Issued> {
        &self.issued
    }

    /// The addresses among the names, in the order of the rules.
    pub(in crate::tls) fn addresses(&self) -> &[(IpAddr, Box<str>)] {
        &self.addresses
    }

    /// The name of the certificate for a host, if one is ordered.
    pub(in crate::tls) fn name_for(&self, host: &str) -> Option<&str> {
        let wildcard = || self.wildcards.get(host.split_once('.')?.1);
        self.names.get(host).or_else(wildcard).map(|name| &**name)
    }

    /// The certificate for a host, if it is one of these.
    pub(in crate::tls) fn key(&self, host: Option<&HostKey>) -> Option<Arc<CertifiedKey>> {
        let host = std::str::from_utf8(host?.as_bytes()).ok()?;
        self.issued.key(self.name_for(host)?)
    }
}

/// Finds the certificate for a client that names no host and connected to one address.
pub(in crate::tls) struct AddressResolver {
    pub(in crate::tls) name: Box<str>,
    pub(in crate::tls) issued: Arc<Issued>,
}

impl fmt::Debug for AddressResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressResolver").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for AddressResolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.issued.key(&self.name)
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
