//! A CA, and the account there.

mod account;

mod ca;

mod clock;

pub(in crate::acme) use ca::{Ca, SHORT_LIVED, Session, given_up, retry_after};
