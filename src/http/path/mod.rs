//! Paths: as rules match them, and as servers may read them.

mod loose_path;

mod path;

pub use loose_path::LoosePath;
pub use path::{behind_prefix, escape, has_dot_segments, match_path};
