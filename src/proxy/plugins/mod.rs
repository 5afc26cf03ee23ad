//! The questions for the plugins of a rule, and what becomes of their answers.

mod connection;
mod request;
mod response;

mod info;

pub(super) use connection::connect;
pub(super) use request::{Answered, ask};
pub(super) use response::change_response;
