//! Keys of the configuration as rows of tables: the name, the shape of the value, the default, one line of text.
//!
//! [`settings`] makes everything else of a simple key from its row. Keys with a value of their own kind are read by hand,
//! and have rows in `schema`.

pub(crate) mod table;

pub(crate) mod shape;

mod secret;

pub(crate) mod scalar;
pub(crate) mod yaml;
mod value_error;

pub use secret::Secret;
pub(crate) use secret::is_withheld;
pub(crate) use shape::{Form, Shape};
pub(crate) use table::{ReadKey, Row, settings};
pub(crate) use value_error::ValueError;
