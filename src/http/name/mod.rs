//! The names of fields.

mod name;

mod identity;

pub(crate) use identity::{identifies_client, is_x_forwarded};
pub use name::Name;
