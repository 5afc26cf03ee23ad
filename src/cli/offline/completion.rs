//! `completion` and `version`.

use std::process::ExitCode;

use clap_complete::Shell;

use crate::cli::arguments::command;
use crate::cli::output;

/// Prints a completion script for `shell`.
pub fn completion(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "smolgate", &mut script);
    output::result(&String::from_utf8_lossy(&script))
}

/// Prints name and version.
pub fn version() -> ExitCode {
    output::result(concat!("smolgate ", env!("CARGO_PKG_VERSION"), "\n"))
}
