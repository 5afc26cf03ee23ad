//! Templates: text with placeholders for parts of a request, compiled when the configuration is loaded.
//!
//! `{host}` is a placeholder, `{{host}}` is the text `{host}`, and any other brace stands for itself, so that JSON and
//! styles need no escapes. The set of placeholders is closed: an unknown one is an error with its place.

mod template;

mod placeholder;
mod values;

pub use placeholder::{CaptureNames, Placeholder, Scope, TemplateUse};
pub use template::{Template, TemplateError};
pub use values::{CAPTURES_MAX, Captures, Claim, Escape, TARGET_MARK, TemplateValues, write_percent_encoded};
