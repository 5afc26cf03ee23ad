//! Policies: everything that a rule does with a request besides taking it and acting on it.
//!
//! A policy is a row of the table in `policies.rs`. From the row come the field of the plan, the key, and the merge of a
//! rule with its named sets and its listener.

mod policies;

mod auth;
mod compress;
mod cors;
mod jwt;
mod mirror;
mod pages;
mod rate_limit;
mod request_limit;
mod speed;

mod field_names;
mod upstream;

pub use auth::{Auth, AuthServer, AuthServerPlace, Basic};
pub use compress::Compress;
pub use cors::{Cors, OriginPattern};
pub(crate) use field_names::reads_alike;
pub use jwt::{Jwt, JwtKeys, TokenPlace};
pub use mirror::Mirror;
pub use pages::{Intercept, Page, PageKey, PageValues, Pages, StatusPattern};
pub use policies::Policies;
pub(crate) use policies::{PoliciesWritten, ReadPolicy};
pub use rate_limit::{RateKey, RateLimit, RateLimits};
pub use request_limit::RequestLimit;
pub use speed::{BitRate, Speed, SpeedGroup};
pub use upstream::PolicyUpstream;
