//! Keys with placeholders as written: answers of a rule's own, rewritten paths, changes of fields.

mod answers;
mod headers;

mod page;

mod templates;

pub(super) use answers::{redirect, respond, rewrite};
pub(super) use headers::headers;
pub(super) use page::page;
