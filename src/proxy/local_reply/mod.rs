//! What we say ourselves: failures with their reason, redirects, fixed responses.

mod failure;
mod fixed;

mod head;
mod send;

pub(super) use failure::fail;
pub(super) use fixed::{write_options, write_redirect, write_redirect_to_https, write_respond};
pub(super) use send::send;
