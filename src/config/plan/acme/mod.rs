//! Certificates that are ordered, and the secrets of an account.

mod orders;

pub use crate::config::keys::Secret;
pub use orders::{
    AUTHORITIES, CertificateAuthority, ChallengeKind, ExternalAccount, Orders, STORE, WhileWaiting,
};
