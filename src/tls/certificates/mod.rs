//! Certificates and authorities: read from files and found by name, with the problems they have.
//!
//! They are read with a generation, off the data plane.

mod coverage;
mod resolver;

mod certificates;

mod files;
mod layout;
pub(super) mod x509;

mod problem;

pub(super) use certificates::{Certificates, authorities};
pub(super) use coverage::missing;
pub use files::files_of;
pub use layout::may_count;
pub use problem::Problem;
pub(super) use problem::ProblemText;
pub(super) use resolver::Resolver;
