//! The verb of the feature `files` where it is left out: none.

use std::process::ExitCode;

use clap::Subcommand;

use super::logging::Logging;

/// No verb.
#[derive(Debug, Subcommand)]
pub enum ServeVerb {}

impl ServeVerb {
    /// Is never called.
    pub fn run(&self) -> ExitCode {
        match *self {}
    }

    pub(super) fn logging(&mut self) -> &mut Logging {
        match *self {}
    }
}
