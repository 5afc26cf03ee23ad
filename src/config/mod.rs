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
//!
//! Here and in the folders below, a module uses only what stands below it. `tests/tidy.rs` keeps that.

mod loader;
mod view;

mod checks;
mod lowering;

mod compose;
mod source;

mod decoder;
mod expansion;
mod field;
mod glob;
mod settings;
mod target;

mod excerpt;

mod pattern;
mod scalar;
mod yaml;

mod did_you_mean;
mod report;
mod yaml_hints;

mod diagnostic;
mod sources;

mod inputs;
pub mod plan;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use excerpt::Excerpts;
pub use inputs::{Inputs, MemoryInputs};
pub use loader::{Files, Format, Loaded, load, load_files};
pub use sources::{Content, SourceFiles};
pub use view::view;
pub use yaml::TEXT_BYTES_MAX;
