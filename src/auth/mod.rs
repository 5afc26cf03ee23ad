//! Passwords and their hashes. It knows nothing of requests and reads nothing.
//!
//! The hashes need crates, which the feature `auth` brings. Without it no password is right, and the configuration refuses
//! rules that ask for one.

#[cfg_attr(not(feature = "auth"), path = "no_password.rs")]
mod password;

mod base64;

pub use base64::{decode, decode_url, encode};
pub use password::{FingerprintKey, hash, is_right};
