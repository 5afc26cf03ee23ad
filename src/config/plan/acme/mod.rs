//! Certificates that are ordered, and the secrets of an account.

mod orders;

pub use orders::{
    AUTHORITIES, CertificateAuthority, ChallengeKind, ExternalAccount, Orders, STORE, WhileWaiting,
};
