//! Changes of a rule in the heads of messages.

mod head;
mod values;

pub(super) use head::{begin, edited_request, edited_response, write_response_lines};
pub(super) use values::{ClientValues, with_values};
