//! Fields that a rule changes, adds or takes out of messages: `headers`, `hsts`, `request_id` and `traceparent`.

mod headers;

mod edits;

pub use edits::{EDITS_MAX, Edits, FieldEdit, FieldPattern, SameName};
pub(crate) use headers::HeadersWritten;
pub use headers::{Headers, Hsts, RequestId, RuleHeaders};
