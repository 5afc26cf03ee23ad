//! A request on its way to a target, and its response on the way back.

mod forward;

mod attempts;
mod response;
mod subrequest;

mod mirror;

mod answer;

mod response_head;

mod request_head;

mod collect;

mod forwarded;
pub(super) mod hops;

pub(super) use attempts::Attempts;
pub(super) use forward::run;
pub use forwarded::Forwarded;
pub(super) use forwarded::client_of;
pub(super) use mirror::mirror;
pub(super) use request_head::can_rewrite;
pub use request_head::write_request_head;
pub(super) use subrequest::{Answer, ask_server, sign_in};
