//! Errors and warnings: the message, the place, and what to write instead.

mod report;

mod diagnostic;
mod did_you_mean;
mod span;
mod yaml_hints;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub(crate) use did_you_mean::{did_you_mean, nearly};
pub(crate) use report::{Report, quoted};
pub(crate) use span::{Span, Spanned};
pub(crate) use yaml_hints::yaml_hint;
