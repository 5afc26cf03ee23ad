//! Arguments and words of verbs that ask a running gate.

#[cfg_attr(not(feature = "control"), path = "no_control.rs")]
mod control;
#[cfg_attr(not(feature = "prox"), path = "no_prox.rs")]
mod prox;

mod call;
mod certs;

pub use call::Call;
pub use certs::{CertsAction, CertsWhat};
pub use control::ControlVerb;
#[cfg(feature = "control")]
pub(super) use control::{Route, RouteName, Server};
pub use prox::TranslatedVerb;
pub(super) use prox::translated;
