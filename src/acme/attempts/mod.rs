//! When the next order of a name may be made, and at which CA, without I/O.

mod attempts;
mod choice;

pub use attempts::Attempt;
pub(in crate::acme) use attempts::{Orders, Record, ca_back_off, is_expiring, latest_renewal, renewal};
pub(in crate::acme) use choice::{Wait, choose};
