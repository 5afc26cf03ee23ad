//! Conditions of rules: globs and expressions for paths, networks, values, and parts of all clients.

mod conditions;

mod expression;
mod path_glob;
mod share;

pub(super) use path_glob::star_of;

pub use conditions::{Conditions, NamedCondition, Networks, ValuePattern};
pub use expression::{ExpressionError, PathExpression};
pub use path_glob::{PathGlob, SegmentGlob};
pub use share::{Share, ShareKey, WHOLE_SHARE};
