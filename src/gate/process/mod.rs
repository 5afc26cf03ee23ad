//! The process of a gate: its signals, its service manager, the sockets that it was started with.

mod inherited;
mod process;

pub use inherited::Inherited;
pub(super) use inherited::{OF_MANAGER, PASSED_ON, PassedOn};
pub use process::CaughtSignals;
pub(super) use process::{SignalRequest, notify, notify_ready, notify_reloading, raise_file_limit};
