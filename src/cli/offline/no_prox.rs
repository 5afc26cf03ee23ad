//! Verbs of another program where its feature is left out: none.

use std::process::ExitCode;

use crate::cli::words::TranslatedVerb;

/// No verb can be run.
pub fn translated(verb: &TranslatedVerb) -> ExitCode {
    match *verb {}
}
