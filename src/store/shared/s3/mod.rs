//! A server that speaks the protocol of S3, as far as a store needs it: objects with conditions, and lists.

mod server;

mod credentials;
mod refusal;

mod answers;
mod sign;

pub(super) use server::S3;
