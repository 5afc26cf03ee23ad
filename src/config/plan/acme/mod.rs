//! Certificates that are ordered, and the secrets of an account.

mod orders;
mod secret;

pub use orders::{
    AUTHORITIES, CertificateAuthority, ChallengeKind, ExternalAccount, Orders, STORE, WhileWaiting,
};
pub use secret::Secret;
