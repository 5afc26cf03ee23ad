//! Gates that share a store. The gate that holds its lease orders. All others serve what it has got, and answer its
//! challenges, because an authority may ask any of them. What operators want of them, they hand to that gate.

mod others;
mod sharing;
mod wishes;

mod answer;
mod proofs;

pub(super) use answer::SharedAnswer;
pub(super) use others::{adopt, follow};
pub(super) use proofs::{Proofs, proof_of};
pub(super) use sharing::{share, unshare};
pub(super) use wishes::hand_on;
