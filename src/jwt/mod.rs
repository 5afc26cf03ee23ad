//! Tokens (JWT, RFC 7519) and the keys by which they are verified. It knows nothing of requests and reads nothing.
//!
//! The keys need a crate, which the feature `jwt` brings. Without it there is no set of keys, and the configuration
//! refuses rules that ask for a token.

mod fetched;

mod token;

#[cfg_attr(not(feature = "jwt"), path = "no_keys.rs")]
mod keys;

mod claims;

mod algorithm;
mod json;
mod outcome;

pub use algorithm::Algorithm;
pub use claims::Claims;
pub use fetched::{FetchedKeys, KeysAsked};
pub use keys::{IS_BUILT_IN, KeySet};
pub use outcome::{Found, KeyProblem, TokenError};
pub use token::{Demands, TOKEN_BYTES_MAX, verify};
