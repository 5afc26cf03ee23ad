//! Changes of a rule in the heads of messages.

mod encoding;
mod head;
mod page;
mod values;

pub(super) use encoding::encode_response;
pub(super) use head::{begin, edited_request, edited_response, write_response_lines};
pub(super) use page::intercept;
pub(super) use values::{ClientValues, with_values};
