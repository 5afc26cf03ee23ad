//! Certificates that are ordered, and the secrets of an account.

mod orders;

mod dns;
mod store;

pub use dns::{CLOUDFLARE, DnsChallenge, DnsProvider, SignatureAlgorithm};
pub use orders::{
    AUTHORITIES, CertificateAuthority, ChallengeKind, CheckAt, EventProgram, ExternalAccount, KeyKind,
    Orders, WhileWaiting,
};
pub use store::{Bucket, LEASE, REGION, STORE, StorePlace};
