//! Policies in force: what is decided about a request of a rule besides where it goes.
//!
//! [`check`] is the order in which they act. It is called between two awaits, with the parsed head. A policy that has to
//! wait for something is an [`Outcome::Identify`]; the proxy waits, parses the head again and calls [`check`] again.
//!
//! Nothing here reads a socket. [`RulePolicies`] are built with a generation. Counts that all workers share outlive it, if
//! the rule keeps its name and the policy its meaning.

mod listener;

mod check;

mod rule;

mod auth;

mod answers;
mod basic;
mod jwt;
mod cors;
mod rate_limit;

mod request;
mod state;

mod mirror;

mod limits;

pub use auth::{AuthQuestion, AuthServerQuestion};
pub use basic::PasswordCheck;
pub use check::{Outcome, check};
pub use cors::requested_method;
pub use jwt::KeySets;
pub use limits::{
    ConcurrencyLimit, ConcurrencyPermit, ConnectionSpeed, LimitTable, Pace, Paces, SharedSpeeds,
};
pub use listener::ListenerPolicies;
pub use mirror::Mirroring;
pub use request::PolicyRequest;
pub use rule::RulePolicies;
pub use state::{PolicyState, Watched};
