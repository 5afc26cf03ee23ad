//! Conditions of rules, and the globs for paths.

mod conditions;

mod path_glob;

pub(super) use path_glob::matches_star;

pub use conditions::{Conditions, NamedCondition, Networks, ValuePattern};
pub use path_glob::{PathGlob, SegmentGlob};
