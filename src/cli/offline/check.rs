//! `check`: checks a configuration, and what it needs of this machine.

use std::path::Path;
use std::process::ExitCode;

use crate::cli::configuration::Described;
use crate::cli::files::Files;
use crate::cli::{configuration, logging, output};
use crate::config::Severity;
use crate::config::plan::{CertificateFiles, Plan, Protocol};
use crate::gate;

/// Reads and checks the configuration, and prints a summary. A rejected service is an error here, although the
/// gate would run.
pub fn check(files: &Files) -> ExitCode {
    match checked(files) {
        Ok(described) => output::result(&(summary(&described) + &ordered(&described.plan))),
        Err(code) => code,
    }
}

/// Reads and checks the configuration, and says what is wrong.
pub(super) fn checked(files: &Files) -> Result<Described, ExitCode> {
    let described = configuration::read_described(files)?;
    let plan = &described.plan;
    let certificates = check_certificates(&described);
    let files = check_files(plan);
    let level = logging::check(|name| described.variable(name), plan.settings.log_level);
    match rejected(plan).or(certificates).or(files).or(level) {
        Some(wrong) => Err(wrong),
        None => Ok(described),
    }
}

fn rejected(plan: &Plan) -> Option<ExitCode> {
    let rejected = counted(Some(plan.rejected_services).filter(|count| *count > 0)?, "service");
    let message = format!("{rejected} would not be served; everything else would");
    Some(output::failure(output::INVALID, &message))
}

/// Prints what is wrong with certificates. A gate would run without them, but that is not the intention.
fn check_certificates(Described { plan, gate }: &Described) -> Option<ExitCode> {
    if let Some(gate) = gate
        && let Some(folder) = gate.elsewhere.iter().find(|path| has_certificates_of(plan, path))
    {
        let name = &gate.name;
        output::say(&format!(
            "warning: certificates in {} of {name} are not checked: it is no folder of this machine\n",
            folder.display()
        ));
        return None;
    }
    let found = gate::check_certificates(plan);
    let said: Vec<String> = found.iter().map(|one| one.render(output::colours())).collect();
    output::say(&said.join("\n"));
    found.iter().any(|one| one.severity == Severity::Error).then(|| ExitCode::from(output::INVALID))
}

fn has_certificates_of(plan: &Plan, folder: &Path) -> bool {
    let certificates =
        plan.listeners.iter().flat_map(|listener| &listener.tls).flat_map(|tls| &tls.certificates);
    certificates.into_iter().any(|one| one.files == CertificateFiles::Path(folder.to_owned()))
}

/// Prints what is wrong with files and folders that a gate writes to. A gate would not start.
fn check_files(plan: &Plan) -> Option<ExitCode> {
    let found = gate::check_files(plan);
    found.iter().for_each(|error| output::say(&format!("{error}\n")));
    (!found.is_empty()).then(|| ExitCode::from(output::INVALID))
}

fn summary(Described { plan, gate }: &Described) -> String {
    let files: Vec<String> = plan.files.iter().map(|file| file.display().to_string()).collect();
    let rules = plan.listeners.iter().map(|listener| match &listener.protocol {
        Protocol::Http(http) => http.rules.len(),
        Protocol::Tcp(_) => 0,
    });
    format!(
        "{} {} valid{}: {}, {}, {}\n",
        files.join(", "),
        if files.len() == 1 { "is" } else { "are" },
        gate.as_ref().map_or_else(String::new, |gate| format!(" with the environment of {}", gate.name)),
        counted(plan.listeners.len(), "listener"),
        counted(rules.sum(), "rule"),
        counted(plan.upstreams.len(), "upstream"),
    )
}

/// A line for each name for which certificates are ordered.
fn ordered(plan: &Plan) -> String {
    let names = gate::ordered_names(plan).into_iter();
    let line = |name: String| {
        let state = gate::stored(plan, &name)?;
        Some(format!("  certificate of {name}: {state}\n"))
    };
    names.filter_map(line).collect()
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
