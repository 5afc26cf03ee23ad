//! `store` as written: a folder of this gate, or a bucket that several gates share.

mod place;

mod bucket;

#[allow(unused_imports, reason = "a dialect that can be left out alone uses it")]
pub(crate) use bucket::keys as bucket_keys;
pub(super) use place::store;
