//! The verbs of the feature `control` where it is left out: none.

use clap::Subcommand;

use crate::cli::files::Files;

/// No verb.
#[derive(Debug, Subcommand)]
pub enum ControlVerb {}

impl ControlVerb {
    pub(in crate::cli) fn files(&mut self) -> &mut Files {
        match *self {}
    }
}
