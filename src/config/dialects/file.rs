//! A file, as the dialects get it.

use std::path::PathBuf;

use crate::config::syntax::Tree;

/// A file that was read and is YAML.
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    pub(crate) tree: Tree,
}
