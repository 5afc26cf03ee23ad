//! Policies: everything that a rule does with a request besides taking it and acting on it.
//!
//! A policy is a row of the table in `policies.rs`. From the row come the field of the plan, the key, and the merge of a
//! rule with its named sets and its listener.

mod policies;

mod auth;
mod cors;
mod jwt;
mod rate_limit;
mod request_limit;

mod field_names;

pub use auth::{Auth, AuthServer, AuthUpstream, Basic};
pub use cors::{Cors, OriginPattern};
pub use jwt::{Jwt, JwtKeys, TokenPlace};
pub use policies::Policies;
pub(crate) use policies::{PoliciesWritten, ReadPolicy};
pub use rate_limit::{RateKey, RateLimit, RateLimits};
pub use request_limit::RequestLimit;
