//! Text becomes a tree.

mod excerpt;

pub(crate) mod yaml;

mod secrets;

pub(crate) mod tree;

pub use excerpt::Excerpts;
pub(crate) use secrets::mask_secret;
pub(crate) use tree::{Node, Tree, Value};
