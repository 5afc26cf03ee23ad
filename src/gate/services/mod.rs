//! Services beside the gate that follow its generations: the ordering of certificates, and the fetching of keys, as
//! far as they were built in.

#[cfg_attr(not(feature = "acme"), path = "none.rs")]
mod certificates;
#[cfg_attr(not(feature = "jwt"), path = "no_keys.rs")]
mod keys;

pub(super) use certificates::Services;
pub use certificates::stored;
pub(super) use keys::KeyService;
