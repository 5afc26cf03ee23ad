//! What other parts of the program do, called from one place.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use super::arguments::{Logging, Running, Who};
use super::output;
use crate::config::plan::{InternalApi, Plan};

/// Runs the gate until it is told to stop.
pub fn run(_run: &Running) -> ExitCode {
    output::failure(output::UNABLE, "not wired")
}

/// Runs the gate on free ports with a built-in example.
pub fn demo(_logging: &Logging) -> ExitCode {
    output::failure(output::UNABLE, "not wired")
}

/// Runs the built-in upstream.
pub fn whoami(_who: &Who) -> ExitCode {
    output::failure(output::UNABLE, "not wired")
}

pub(super) fn load(_files: &[PathBuf]) -> Result<Plan, ExitCode> {
    Err(output::failure(output::UNABLE, "not wired"))
}

pub(super) fn get(_api: &InternalApi, _path: &str) -> io::Result<(u16, String)> {
    Err(io::Error::other("not wired"))
}
