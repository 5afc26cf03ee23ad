//! `schema`: a JSON Schema of the configuration.

use std::process::ExitCode;

use crate::cli::output;
use crate::config::Format;

/// Prints the schema of a format.
pub fn schema(format: Format) -> ExitCode {
    output::result(&format!("{:#}\n", format.schema()))
}
