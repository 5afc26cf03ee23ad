//! Certificates that come while the gate runs, and the answers to the challenges by which they are got.
//!
//! All generations share one [`Issued`]. The control plane changes it by a swap. The data plane reads it without a
//! lock, and only for names that no file has a certificate for.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, version};

use super::subject::{address_of, challenge_name, host_of};
use super::x509;
use crate::config::plan::ACME_CHALLENGES;
use crate::http::HostKey;
use crate::tls::hello::{HelloScan, parse_hello};

/// The protocol of a challenge inside TLS (RFC 8737, section 3).
const CHALLENGE_PROTOCOL: &[u8] = b"acme-tls/1";

/// The answer to a token by its form, for a host. Gates that share a store make such tokens.
pub type Proof = Box<dyn Fn(&str, &str) -> Option<Arc<str>> + Send + Sync>;

/// Certificates by name, and answers to open challenges.
#[derive(Default)]
pub struct Issued {
    certificates: ArcSwap<HashMap<Box<str>, Arc<Certificate>>>,
    /// The certificate for names that have none yet.
    stand_in: ArcSwapOption<CertifiedKey>,
    /// By token.
    http: ArcSwap<HashMap<Box<str>, HttpAnswer>>,
    /// Answers the tokens of other gates.
    proof: ArcSwapOption<Proof>,
    /// By the name that the authority asks for.
    tls: ArcSwap<HashMap<Box<str>, Arc<ServerConfig>>>,
}

/// The start and the end of a certificate's life, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The start.
    pub not_before: i64,
    /// The end.
    pub not_after: i64,
}

/// The name of a certificate at its authority (RFC 9773, section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The identifier of the authority's key.
    pub authority_key: Box<[u8]>,
    /// The serial number, as its bytes in DER.
    pub serial: Box<[u8]>,
}

struct Certificate {
    key: Arc<CertifiedKey>,
    validity: Validity,
    identity: Option<Identity>,
}

#[derive(Clone)]
struct HttpAnswer {
    host: Box<str>,
    text: Arc<str>,
}

impl Issued {
    /// Serves a certificate for `name` from now on. Chain and key are PEM. The key must fit, the certificate must have
    /// the name, and be valid at `now`. Returns its validity.
    ///
    /// # Errors
    /// Half a sentence about the certificate. Then the one until now is served.
    pub fn serve(&self, name: &str, chain: &[u8], key: &[u8], now: i64) -> Result<Validity, String> {
        let checked = Arc::new(check(name, chain, key, now)?.not_early(now)?);
        let validity = checked.validity;
        self.certificates.rcu(|before| {
            let mut all = HashMap::clone(before);
            all.insert(name.into(), checked.clone());
            all
        });
        Ok(validity)
    }

    /// Whether a chain and its key could be served, as [`Issued::serve`] would. Serves nothing. Returns its validity.
    ///
    /// # Errors
    /// As [`Issued::serve`].
    pub fn check(name: &str, chain: &[u8], key: &[u8], now: i64) -> Result<Validity, String> {
        Ok(check(name, chain, key, now)?.not_early(now)?.validity)
    }

    /// The validity of the certificate for `name`. `None` if there is none.
    pub fn validity(&self, name: &str) -> Option<Validity> {
        self.certificates.load().get(name).map(|certificate| certificate.validity)
    }

    /// The certificate for `name` itself, in DER. `None` if there is none.
    pub fn leaf(&self, name: &str) -> Option<CertificateDer<'static>> {
        self.certificates.load().get(name)?.key.cert.first().cloned()
    }

    /// The identity of the certificate for `name`. `None` if there is none, or if it does not name its authority's key.
    pub fn identity(&self, name: &str) -> Option<Identity> {
        self.certificates.load().get(name)?.identity.clone()
    }

    /// Serves these certificates, each a name, a chain and a key as in [`Issued::serve`]. With `alone`, it forgets all
    /// others. One that is not valid yet was issued, so the clock is wrong, and it is served. Returns the names of those that
    /// cannot be served, with the reasons.
    pub fn serve_all(
        &self,
        found: &[(&str, Vec<u8>, Vec<u8>)],
        now: i64,
        alone: bool,
    ) -> Vec<(String, String)> {
        let mut refused = Vec::new();
        let mut checked = Vec::new();
        for (name, chain, key) in found {
            match check(name, chain, key, now) {
                Ok(certificate) => checked.push((Box::<str>::from(*name), Arc::new(certificate))),
                Err(why) => refused.push(((*name).to_owned(), why)),
            }
        }
        self.certificates.rcu(|before| {
            let mut all = if alone { HashMap::new() } else { HashMap::clone(before) };
            all.extend(checked.iter().cloned());
            all
        });
        refused
    }

    /// Sets the certificate for names that have none yet. `None`: they are refused.
    pub fn set_stand_in(&self, stand_in: Option<Arc<CertifiedKey>>) {
        self.stand_in.store(stand_in);
    }

    /// The certificate for a name that waits for one or has one.
    pub(in crate::tls) fn key(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let issued = self.certificates.load().get(name).map(|certificate| certificate.key.clone());
        issued.or_else(|| self.stand_in.load_full())
    }

    /// Answers requests for `token` at `name`, until [`Issued::end_http`].
    pub fn answer_http(&self, name: &str, token: &str, text: &str) {
        let answer = HttpAnswer { host: (&*host_of(name)).into(), text: text.into() };
        self.http.rcu(|before| {
            let mut all = HashMap::clone(before);
            all.insert(token.into(), answer.clone());
            all
        });
    }

    /// Ends the challenge with this token.
    pub fn end_http(&self, token: &str) {
        self.http.rcu(|before| {
            let mut all = HashMap::clone(before);
            all.remove(token);
            all
        });
    }

    /// Answers the tokens of other gates from now on. `None`: there are none.
    pub fn set_proof(&self, proof: Option<Proof>) {
        self.proof.store(proof.map(Arc::new));
    }

    /// The answer to a request, if it asks for an open challenge, or if another gate looks at the host.
    pub fn http_answer(&self, host: &[u8], path: &[u8]) -> Option<Arc<str>> {
        let token = path.strip_prefix(ACME_CHALLENGES.as_bytes())?.strip_prefix(b"/")?;
        let token = std::str::from_utf8(token).ok()?;
        if let Some(answer) = self.http.load().get(token) {
            return (answer.host.as_bytes() == host).then(|| answer.text.clone());
        }
        let proof = self.proof.load();
        proof.as_ref()?(std::str::from_utf8(host).ok()?, token)
    }

    /// Answers TLS challenges for `name` with this certificate, until [`Issued::end_tls`].
    pub fn answer_tls(&self, name: &str, certificate: &Arc<CertifiedKey>) {
        let Some(config) = challenge_config(certificate) else { return };
        let asked = challenge_name(name);
        self.tls.rcu(|before| {
            let mut all = HashMap::clone(before);
            all.insert((&*asked).into(), config.clone());
            all
        });
    }

    /// Ends the TLS challenge for `name`.
    pub fn end_tls(&self, name: &str) {
        let asked = challenge_name(name);
        self.tls.rcu(|before| {
            let mut all = HashMap::clone(before);
            all.remove(&*asked);
            all
        });
    }

    /// The setup of the handshake for a client that asks for an open challenge: it offers its protocol and no other.
    pub(in crate::tls) fn tls_answer(
        &self,
        name: Option<&HostKey>,
        hello: &[u8],
    ) -> Option<Arc<ServerConfig>> {
        let open = self.tls.load();
        let config = open.get(std::str::from_utf8(name?.as_bytes()).ok()?)?;
        // Parse the hello again, because challenges are rarely open.
        let hello = parse_hello(hello, &mut HelloScan::default()).ok()??;
        hello.protocols().eq([CHALLENGE_PROTOCOL]).then(|| config.clone())
    }
}

impl Certificate {
    fn not_early(self, now: i64) -> Result<Self, String> {
        match self.validity.not_before > now {
            true => Err("the certificate is not valid yet: is the clock of this machine right?".to_owned()),
            false => Ok(self),
        }
    }
}

/// The life of a certificate in PEM. `None` if it is none.
pub fn life(chain: &[u8]) -> Option<Validity> {
    let own = CertificateDer::pem_slice_iter(chain).next()?.ok()?;
    let own = x509::read(&own)?;
    Some(Validity { not_before: own.not_before, not_after: own.not_after })
}

fn check(name: &str, chain: &[u8], key: &[u8], now: i64) -> Result<Certificate, String> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the chain is not valid PEM: {error}"))?;
    let own = chain.first().and_then(|own| x509::read(own)).ok_or("there is no certificate in the chain")?;
    let has = match address_of(name) {
        Some(address) => own.addresses.contains(&address),
        None => own.names.iter().any(|has| has == name),
    };
    if !has {
        return Err(format!("the certificate is not for {name}"));
    }
    let validity = Validity { not_before: own.not_before, not_after: own.not_after };
    if validity.not_after <= now {
        return Err("the certificate has expired".to_owned());
    }
    let serial = own.serial;
    let identity = own.authority_key.map(|authority_key| Identity { authority_key, serial });
    // The message must not quote the key.
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "the key is not valid PEM")?;
    let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
    let key = key.map_err(|error| format!("the certificate cannot be used with its key: {error}"))?;
    Ok(Certificate { key: Arc::new(key), validity, identity })
}

fn challenge_config(certificate: &Arc<CertifiedKey>) -> Option<Arc<ServerConfig>> {
    let certificate = CertifiedKey::clone(certificate);
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .ok()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
    config.alpn_protocols = vec![CHALLENGE_PROTOCOL.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Some(Arc::new(config))
}
