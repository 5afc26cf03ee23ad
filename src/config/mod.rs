//! Text becomes a [`plan::Plan`].
//!
//! ```text
//! text --yaml--> Node --source---> Source --lowering--> Plan --checks--> Plan + warnings
//!      syntax, duplicates  keys, values     names, defaults    what only shows in the whole
//!                     \-compose-/
//!                      labels of services
//! ```
//!
//! Every step after the first gathers errors in one [`report`] and goes on, so that a person sees
//! all of them at once. Pure: opens no socket, starts no task, reads no file by itself; what it
//! needs from outside comes through [`Inputs`]. The command line and the reload call [`load`].

mod checks;
mod compose;
mod decoder;
mod diagnostic;
mod expansion;
mod field;
mod glob;
mod inputs;
mod loader;
mod lowering;
mod meaning;
mod nearest;
mod pattern;
pub mod plan;
mod report;
mod scalar;
mod settings;
mod source;
mod sources;
mod target;
mod view;
mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use inputs::{Inputs, Memory};
pub use loader::{Files, Format, Loaded, load, load_files};
pub use sources::{Seen, Sources};
pub use view::view;
