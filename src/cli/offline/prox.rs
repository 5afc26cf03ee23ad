//! Verbs of prox: `validate` with its lines, and `build`, which has nothing to do here.

use std::process::ExitCode;

use super::check::checked;
use crate::cli::files::Files;
use crate::cli::output;
use crate::cli::words::TranslatedVerb;

/// Runs one of them.
pub fn translated(verb: &TranslatedVerb) -> ExitCode {
    match verb {
        TranslatedVerb::Validate(files) => validate(files),
        TranslatedVerb::Build => {
            let message = "`build` is not needed: the gate compiles nothing. Build each plugin with `go build -o NAME .` \
                           in its folder, and name that program under `plugins`";
            output::failure(output::INVALID, message)
        }
    }
}

/// The errors are said before the last line.
fn validate(files: &Files) -> ExitCode {
    match checked(files) {
        Ok(described) => {
            let read = &described.plan.files;
            let path = files.files.first().or(read.first());
            let path = path.map(|path| path.display().to_string()).unwrap_or_default();
            output::result(&format!("\u{2705} configuration is valid: {path} ({} file(s))\n", read.len()))
        }
        Err(code) => {
            output::say("\u{274c} configuration is not valid\n");
            code
        }
    }
}
