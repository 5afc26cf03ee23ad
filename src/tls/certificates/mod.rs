//! Certificates and authorities: read from files, found by name, and what is wrong with them.
//!
//! They are read off the data plane, with a generation.

mod coverage;

mod certificates;

mod files;
mod x509;

mod problem;

pub(super) use certificates::{Certificates, authorities};
pub(super) use coverage::missing;
pub use files::{files_of, may_count};
pub use problem::Problem;
pub(super) use problem::ProblemText;
