//! The names of fields.

mod name;

mod identity;

pub use identity::reads_alike;
pub(crate) use identity::{identifies_client, is_x_forwarded};
pub use name::Name;
