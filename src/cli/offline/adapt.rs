//! `adapt`: prints a configuration in the native format, or labels of another proxy in those of the gate.

use std::process::ExitCode;

use crate::cli::arguments::Adaptation;
use crate::cli::{configuration, output};
use crate::config::view;

/// Prints the configuration, or the labels.
pub fn adapt(arguments: &Adaptation) -> ExitCode {
    let files = arguments.all_files();
    let text = match &arguments.from {
        Some(program) => configuration::read_foreign(program, &files),
        None => configuration::read_described(&files).map(|described| view(&described.plan)),
    };
    text.map_or_else(|code| code, |text| output::result(&text))
}
