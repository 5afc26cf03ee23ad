//! Certificates and authorities: read from files and found by name, with the problems they have.
//!
//! Those in files are read with a generation, off the data plane. Others are issued while the gate runs: `issued.rs`.

mod coverage;
mod resolver;

mod certificates;
mod issued;

mod files;
mod layout;
mod subject;
pub(super) mod x509;

mod problem;

pub(super) use certificates::{Certificates, authorities};
pub(super) use coverage::{missing, wanted};
pub use files::files_of;
pub use issued::{Identity, Issued, Proof, Validity, life};
pub use layout::may_count;
pub use problem::Problem;
pub(super) use problem::ProblemText;
pub(super) use resolver::{AddressResolver, Ordered, Resolver};
pub use subject::{address_of, host_of};
