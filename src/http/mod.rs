//! The semantics of HTTP (RFC 9110): methods, field names, hosts, paths, heads.
//!
//! The module opens no socket, awaits nothing and knows no configuration file. `http1` reads messages and
//! returns these types. A [`RequestHead`] points into the bytes that it was read from.
//!
//! The module is strict on purpose, because two programs that read the same bytes differently allow request
//! smuggling. So anything that is not plainly valid is a [`Refusal`], never a guess. The caller, `proxy`,
//! decides which fields to drop and which to add.

mod client_address;
mod head;

mod upgrade;

mod template;

mod fields;
mod list;

pub(crate) mod authority;
pub mod idn;
mod name;
mod path;

pub(crate) mod class;
mod limits;
mod message;
mod refusal;
mod status;

pub use authority::{Authority, HOST_BYTES_MAX, HostKey};
pub use class::is_token;
pub use client_address::{Origin, client_behind};
pub(crate) use fields::Row;
pub use fields::{Field, FieldTable, Fields};
pub use head::{RequestHead, ResponseHead};
pub use limits::HeadLimits;
pub use list::{
    accepts_coding, coding_weight, entity_tags, list_has, list_items, named_weight, preferred_media,
    weighted_items,
};
pub use message::{Framing, Method, Version};
pub use name::{Name, reads_alike};
pub(crate) use name::{identifies_client, is_x_forwarded};
pub use path::{LoosePath, behind_prefix, escape, has_dot_segments, match_path};
pub use refusal::Refusal;
pub(crate) use refusal::escaped;
pub use status::status_phrase;
pub use template::{
    CAPTURES_MAX, CaptureNames, Captures, Claim, Escape, Placeholder, Scope, TARGET_MARK, Template,
    TemplateError, TemplateUse, TemplateValues, write_percent_encoded,
};
pub use upgrade::upgrade_protocols;
