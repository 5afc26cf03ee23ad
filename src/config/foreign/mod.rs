//! Keys and files of other proxies. They are what people have in mind, or at hand, when they write their first
//! configuration. Nothing here is read: an error says what to write instead.

mod files;

mod keys;

pub(crate) use files::{of_text, of_tree};
pub(crate) use keys::write_instead;
