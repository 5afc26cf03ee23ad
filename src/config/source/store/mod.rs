//! `store` as written: a folder of this gate, or a bucket that several gates share.

mod place;

mod bucket;

pub(super) use place::store;
