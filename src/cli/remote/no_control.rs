//! The verbs of the feature `control` where it is left out: none.

use std::process::ExitCode;

use crate::cli::words::ControlVerb;

/// Is never called.
pub fn control(verb: &ControlVerb) -> ExitCode {
    match *verb {}
}
