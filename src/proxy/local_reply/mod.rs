//! Responses of smolgate's own: failures with their reason, redirects, fixed responses.

mod failure;
mod fixed;
mod send;

mod encoded;

mod reply;

pub(super) use failure::send_failure;
pub(super) use fixed::{
    answer_of_server, challenge, options, preflight, redirect, redirect_to_https, respond, sign_in,
};
pub(super) use reply::Reply;
pub(super) use send::send;
