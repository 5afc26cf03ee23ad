//! Responses of smolgate's own: failures with their reason, redirects, fixed responses.

mod failure;
mod fixed;
mod send;

mod reply;

pub(super) use failure::send_failure;
pub(super) use fixed::{challenge, options, preflight, redirect, redirect_to_https, respond};
pub(super) use reply::Reply;
pub(super) use send::send;
