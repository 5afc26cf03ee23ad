//! Certificates that are ordered, and the secrets of an account.

mod orders;

mod dns;

pub use dns::{CLOUDFLARE, DnsChallenge, DnsProvider, SignatureAlgorithm};
pub use orders::{
    AUTHORITIES, CertificateAuthority, ChallengeKind, ExternalAccount, Orders, STORE, WhileWaiting,
};
