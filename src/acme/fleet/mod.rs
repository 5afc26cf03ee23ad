//! Gates that share a store. The gate that holds its lease orders. All others serve what it has got, and answer its
//! challenges, because an authority may ask any of them.

mod others;
mod sharing;

mod answer;

pub(super) use answer::SharedAnswer;
pub(super) use others::{adopt, follow};
pub(super) use sharing::{share, unshare};
