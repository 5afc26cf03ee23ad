//! Certificates that are ordered from a certificate authority.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::dns::DnsChallenge;
use super::store::StorePlace;
use crate::config::keys::Secret;

/// How certificates are ordered, and where they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orders {
    /// The address that the authority may write to.
    pub email: Option<Arc<str>>,
    /// The authorities, best first. At least one.
    pub cas: Vec<CertificateAuthority>,
    /// The challenges, best first. At least one.
    pub challenges: Vec<ChallengeKind>,
    /// The way to answer challenges by DNS, which wildcards need.
    pub dns: Option<DnsChallenge>,
    /// The kind of new keys.
    pub key: KeyKind,
    /// The program that is run after an event.
    pub on_event: Option<EventProgram>,
    /// The certificate of a name that waits for its first one.
    pub while_waiting: WhileWaiting,
    /// Whether an order waits if a look at the name finds a reason why the authority would refuse it.
    pub self_check: bool,
    /// Where that look is directed.
    pub self_check_at: CheckAt,
    /// The place in which everything is kept.
    pub store: StorePlace,
}

/// Where a name is looked at, as authorities look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckAt {
    /// The resolvers to ask. Those of the system if there are none.
    pub resolvers: Vec<SocketAddr>,
    /// The port of requests in the clear.
    pub http_port: u16,
    /// The port of TLS.
    pub https_port: u16,
}

impl Default for CheckAt {
    fn default() -> Self {
        Self { resolvers: Vec::new(), http_port: 80, https_port: 443 }
    }
}

/// A certificate authority that speaks ACME (RFC 8555).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateAuthority {
    /// The URL of its directory.
    pub directory: Arc<str>,
    /// The URL of the directory of its test system, which is asked after a failure.
    pub staging: Option<Arc<str>>,
    /// The kind of certificate that orders ask for.
    pub profile: Option<Arc<str>>,
    /// A PEM file of authorities to trust for that URL instead of those of the system.
    pub root: Option<PathBuf>,
    /// The account that the authority knows its customer by.
    pub external_account: Option<ExternalAccount>,
}

/// An account at the authority outside of ACME (RFC 8555, section 7.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAccount {
    /// The identifier of the key.
    pub kid: Arc<str>,
    /// The key, in base64 for URLs.
    pub hmac: Secret,
}

/// The way to prove that a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeKind {
    /// `http-01`: a request on port 80.
    Http,
    /// `tls-alpn-01`: a handshake on port 443 (RFC 8737).
    Tls,
    /// `dns-01`: a record.
    Dns,
}

impl ChallengeKind {
    /// The name in the protocol.
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http-01",
            Self::Tls => "tls-alpn-01",
            Self::Dns => "dns-01",
        }
    }

    /// The name in a configuration.
    pub fn key(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Dns => "dns",
        }
    }
}

/// The kind of a certificate's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA with P-256.
    #[default]
    P256,
    /// ECDSA with P-384.
    P384,
    /// RSA of 2,048 bits.
    Rsa2048,
    /// RSA of 4,096 bits.
    Rsa4096,
}

impl KeyKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::P256, Self::P384, Self::Rsa2048, Self::Rsa4096];

    /// The name in a configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::Rsa2048 => "rsa2048",
            Self::Rsa4096 => "rsa4096",
        }
    }
}

/// A program that is told of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventProgram {
    /// The program and its arguments.
    pub command: Vec<Arc<str>>,
    /// The variables of the gate's environment that it gets.
    pub environment: Vec<Arc<str>>,
}

/// The certificate of a name that waits for its first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhileWaiting {
    /// One that signs itself. Browsers warn of it.
    SelfSigned,
    /// None: the handshake is refused.
    Refuse,
}

/// The directories of known authorities by name, and those of their test systems.
pub const AUTHORITIES: [(&str, &str, Option<&str>); 3] = [
    (
        "letsencrypt",
        "https://acme-v02.api.letsencrypt.org/directory",
        Some("https://acme-staging-v02.api.letsencrypt.org/directory"),
    ),
    ("zerossl", "https://acme.zerossl.com/v2/DV90", None),
    (
        "google",
        "https://dv.acme-v02.api.pki.goog/directory",
        Some("https://dv.acme-v02.test-api.pki.goog/directory"),
    ),
];

impl Orders {
    /// Whether one of the authorities issues certificates for public names only.
    pub fn is_public(&self) -> bool {
        self.cas.iter().any(CertificateAuthority::is_public)
    }
}

impl CertificateAuthority {
    /// The name in a configuration, or the host and port of its directory.
    pub fn name(&self) -> String {
        let is_it = |url: &str| url == &*self.directory;
        let known = AUTHORITIES.iter().find(|(_, url, _)| is_it(url));
        known.map_or_else(|| self.folder(), |(name, ..)| (*name).to_owned())
    }

    /// Whether it is one of [`AUTHORITIES`], which issue certificates for public names only.
    pub fn is_public(&self) -> bool {
        let is_it = |url: &str| url == &*self.directory;
        AUTHORITIES.iter().any(|(_, url, staging)| is_it(url) || staging.is_some_and(is_it))
    }

    /// The host and port of its directory, as a name of a folder.
    pub fn folder(&self) -> String {
        let rest = self.directory.split_once("://").map_or(&*self.directory, |(_, rest)| rest);
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let plain = |char: char| if char.is_ascii_alphanumeric() || ".-".contains(char) { char } else { '_' };
        authority.trim_start_matches('.').chars().map(plain).collect()
    }
}
