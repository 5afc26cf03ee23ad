//! Text becomes a tree.

mod excerpt;

pub(crate) mod yaml;

mod secrets;

mod tree;

pub use excerpt::Excerpts;
pub(crate) use secrets::mask_secret;
pub(crate) use tree::{Node, Tag, Tree, Value};
