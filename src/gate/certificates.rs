//! What is said of certificates: what is wrong with them, and when they expire.

use std::path::{Path, PathBuf};

use crate::config::plan::Plan;
use crate::config::{Diagnostic, Severity};
use crate::log::counters::CertificateExpiry;
use crate::proxy::{Generation, terminators};
use crate::tls::{Problem, Terminator, Tickets, files_of};

/// Reads the certificates of a plan and says what is wrong with them, as a generation would be built
/// of it. Blocks.
pub fn check(plan: &Plan) -> Vec<Diagnostic> {
    diagnostics(&terminators(plan, &Tickets::default(), None).1)
}

/// Problems with the line that names the file.
pub(super) fn diagnostics(problems: &[Problem]) -> Vec<Diagnostic> {
    let diagnostic = |problem: &Problem| {
        let origin = problem.origin.clone();
        // Read again, because a plan keeps places and not texts; it may have changed since.
        let text = std::fs::read_to_string(Path::new(&*origin.file)).unwrap_or_default();
        let line = text.lines().nth(origin.line as usize - 1).unwrap_or_default();
        let line: String = line.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
        let rest = line.chars().skip(origin.column as usize - 1);
        let width = rest.take_while(|char| !matches!(char, ',' | '}' | ']' | ' ' | '#')).count();
        Diagnostic {
            severity: if problem.is_warning { Severity::Warning } else { Severity::Error },
            message: problem.message.clone(),
            origin: Some(origin),
            width: u32::try_from(width.max(1)).unwrap_or(1),
            line,
            hint: Some(problem.hint.clone()).filter(|hint| !hint.is_empty()),
        }
    };
    problems.iter().map(diagnostic).collect()
}

/// Files and folders that the plan names and that reading the configuration does not read:
/// certificates, keys, authorities. Blocks.
pub(super) fn files_named_by(plan: &Plan) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        plan.upstreams.iter().filter_map(|upstream| upstream.tls.ca.clone()).collect();
    for tls in plan.listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
        for source in tls.certificates.iter().chain(&tls.default_certificate) {
            files.extend(files_of(&source.files));
            files.extend(source.client_auth.as_ref().map(|auth| auth.ca.clone()));
        }
    }
    files.sort();
    files.dedup();
    files
}

/// What `smolgate_certificates_outdated` says of a generation.
pub(super) fn outdated(generation: &Generation) -> usize {
    generation.terminators.iter().flatten().map(Terminator::outdated).sum()
}

/// What `smolgate_certificate_expiry_timestamp_seconds` says of a generation: the soonest, where a
/// listener has several certificates of one name.
pub(super) fn expiries(generation: &Generation) -> Vec<CertificateExpiry> {
    let mut all: Vec<CertificateExpiry> = Vec::new();
    for (listener, terminator) in generation.plan.listeners.iter().zip(&generation.terminators) {
        for (name, expires) in terminator.iter().flat_map(|terminator| terminator.expiries()) {
            let same = all.iter_mut().find(|one| one.listener == listener.name && one.name == name);
            match same {
                Some(one) => one.expires = one.expires.min(expires),
                None => all.push(CertificateExpiry { listener: listener.name.clone(), name, expires }),
            }
        }
    }
    all
}
