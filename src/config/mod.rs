//! Text becomes a [`plan::Plan`].
//!
//! ```text
//! text --syntax--> Node --dialects--> Source --lowering--> Plan --checks--> Plan + warnings
//!      duplicates       keys, values         names, defaults    what only shows in the whole
//! ```
//!
//! Every step after the first gathers errors in one report and goes on, so that a person sees all of them at once.
//! Pure: opens no socket, starts no task, reads no file by itself. Its data from outside comes through [`Inputs`].
//! The command line and the reload call [`load`].
//!
//! Here and in the folders below, a module uses only modules below it. `tests/tidy.rs` checks that.

mod internal_api;
mod loader;
mod view_as_json;

mod view;

mod rules_view;
mod view_orders;
mod view_upstreams;

mod yaml_writer;

#[cfg_attr(not(feature = "control"), path = "overlay/none.rs")]
mod overlay;

mod checks;
mod lowering;

mod dialects;

mod schema;

mod source;

mod decode;

mod foreign;

mod syntax;
pub(crate) mod values;

mod diagnostics;

mod sources;

mod described;

mod inputs;
pub mod plan;

mod keys;

pub use described::DescribedGate;
pub use diagnostics::{Diagnostic, Diagnostics, Severity};
pub use dialects::{FileOption, Format};
pub use inputs::{Inputs, MemoryInputs};
pub use internal_api::internal_api;
pub use loader::{Files, Loaded, adapt_foreign, described_gate, is_known, load, load_changed, load_files};
pub use overlay::Overlay;
pub use sources::{Content, SourceFiles};
pub use syntax::Excerpts;
pub use syntax::yaml::TEXT_BYTES_MAX;
pub use view::view;
pub use view_as_json::view_as_json;

pub(crate) use keys::scalar::duration;
