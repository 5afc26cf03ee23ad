//! Services beside the gate that follow its generations: the ordering of certificates, if it was built in.

#[cfg_attr(not(feature = "acme"), path = "none.rs")]
mod certificates;

pub(super) use certificates::Services;
pub use certificates::stored;
