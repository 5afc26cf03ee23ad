//! The verbs of the feature `demo` where it is left out: none.

use std::process::ExitCode;

use clap::Subcommand;

use super::logging::Logging;
use crate::gate::Explainer;

pub(super) const TIP: &str = "";

/// No verb.
#[derive(Debug, Subcommand)]
pub enum DemoVerb {}

impl DemoVerb {
    /// Is never called.
    pub fn run(&self, _: Explainer) -> ExitCode {
        match *self {}
    }

    pub(super) fn logging(&mut self) -> &mut Logging {
        match *self {}
    }
}
