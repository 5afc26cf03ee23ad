//! `check` and `adapt`: checks a configuration, or prints it in the native format.

use std::process::ExitCode;

use crate::cli::files::Files;
use crate::cli::{configuration, output};
use crate::config::plan::{Plan, Protocol};
use crate::config::{Severity, view};
use crate::gate;

/// Reads and checks the configuration, and prints a summary. A rejected service is an error here, although the
/// gate would run.
pub fn check(files: &Files) -> ExitCode {
    match configuration::read(files) {
        Err(code) => code,
        Ok(plan) => {
            let certificates = check_certificates(&plan);
            let files = check_files(&plan);
            rejected(&plan).or(certificates).or(files).unwrap_or_else(|| output::result(&summary(&plan)))
        }
    }
}

fn rejected(plan: &Plan) -> Option<ExitCode> {
    let rejected = counted(Some(plan.rejected_services).filter(|count| *count > 0)?, "service");
    let message = format!("{rejected} would not be served; everything else would");
    Some(output::failure(output::INVALID, &message))
}

/// Prints the configuration in the native format.
pub fn adapt(files: &Files) -> ExitCode {
    match configuration::read(files) {
        Err(code) => code,
        Ok(plan) => output::result(&view(&plan)),
    }
}

/// Prints what is wrong with certificates. A gate would run without them, but that is not the intention.
fn check_certificates(plan: &Plan) -> Option<ExitCode> {
    let found = gate::check_certificates(plan);
    let said: Vec<String> = found.iter().map(|one| one.render(output::colours())).collect();
    output::say(&said.join("\n"));
    found.iter().any(|one| one.severity == Severity::Error).then(|| ExitCode::from(output::INVALID))
}

/// Prints what is wrong with files and folders that a gate writes to. A gate would not start.
fn check_files(plan: &Plan) -> Option<ExitCode> {
    let found = gate::check_files(plan);
    found.iter().for_each(|error| output::say(&format!("{error}\n")));
    (!found.is_empty()).then(|| ExitCode::from(output::INVALID))
}

fn summary(plan: &Plan) -> String {
    let files: Vec<String> = plan.files.iter().map(|file| file.display().to_string()).collect();
    let rules = plan.listeners.iter().map(|listener| match &listener.protocol {
        Protocol::Http(http) => http.rules.len(),
        Protocol::Tcp(_) => 0,
    });
    format!(
        "{} is valid: {}, {}, {}\n",
        files.join(", "),
        counted(plan.listeners.len(), "listener"),
        counted(rules.sum(), "rule"),
        counted(plan.upstreams.len(), "upstream"),
    )
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
