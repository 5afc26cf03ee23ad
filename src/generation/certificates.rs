//! Facts about the certificates of a generation: their problems, their files, their expiry, their changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::generation::{Generation, terminators};
use crate::config::plan::{CertificateChanges, FileChanges, Listener, Plan, Protocol};
use crate::config::{Diagnostic, Excerpts, Severity, TEXT_BYTES_MAX};
use crate::files;
use crate::http::HostKey;
use crate::log::clock::Utc;
use crate::metrics::CertificateExpiry;
use crate::tls::{Problem, Terminator, TicketKeys, files_of};
use crate::upstream::{NameCache, UpstreamError, UpstreamTable};

/// Reads the certificates and authorities of a plan as for a generation, and returns what is wrong with them.
/// Blocks.
pub fn check(plan: &Plan) -> Vec<Diagnostic> {
    let upstreams = UpstreamTable::new(plan, &NameCache::default(), None).err().unwrap_or_default();
    let mut found = diagnostics(&terminators(plan, &TicketKeys::default(), &Arc::default(), None).1);
    found.extend(of_upstreams(upstreams));
    found
}

/// Whether the listener has a certificate for a client that asks for `name`, or for no name. Blocks.
pub fn has_certificate(listener: &Listener, name: Option<&[u8]>) -> bool {
    terminator(listener)
        .is_some_and(|terminator| terminator.has_certificate(name.and_then(HostKey::new).as_ref()))
}

/// The name of the certificate that is ordered for a client that asks for `name`. `None` if none is. Blocks.
pub fn ordered_name(listener: &Listener, name: Option<&[u8]>) -> Option<String> {
    let terminator = terminator(listener)?;
    terminator.ordered_name(name.and_then(HostKey::new).as_ref()).map(str::to_owned)
}

/// The name of the certificate in a file that a client gets which asks for `name`, and the end of its life. Blocks.
pub fn certificate_for(listener: &Listener, name: Option<&[u8]>) -> Option<(String, String)> {
    let (name, until) = terminator(listener)?.certificate_for(name.and_then(HostKey::new).as_ref())?;
    let since = Duration::from_secs(u64::try_from(until).unwrap_or_default());
    Some((name, Utc::from(UNIX_EPOCH + since).to_string()))
}

/// The names for which certificates are ordered, sorted. Blocks.
pub fn ordered_names(plan: &Plan) -> Vec<String> {
    let terminators = plan.listeners.iter().filter_map(terminator);
    let mut names: Vec<String> =
        terminators.flat_map(|one| one.ordered().map(str::to_owned).collect::<Vec<_>>()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn terminator(listener: &Listener) -> Option<Terminator> {
    let rules = matches!(listener.protocol, Protocol::Http(_)).then(|| listener.rules());
    let load = |tls| Terminator::load(tls, rules, false, &TicketKeys::default(), &Arc::default(), None).0;
    listener.tls.as_ref().map(load)
}

/// The problems as diagnostics, with the line that names the file.
pub(crate) fn diagnostics(problems: &[Problem]) -> Vec<Diagnostic> {
    let mut files = Excerpts::default();
    let mut diagnostic = |problem: &Problem| Diagnostic {
        severity: if problem.is_warning { Severity::Warning } else { Severity::Error },
        hint: Some(problem.hint.clone()).filter(|hint| !hint.is_empty()),
        ..files.error(problem.origin.clone(), problem.message.clone(), read)
    };
    problems.iter().map(&mut diagnostic).collect()
}

/// The errors of upstreams as diagnostics, with the line in which each upstream begins.
pub(crate) fn of_upstreams(errors: Vec<UpstreamError>) -> Vec<Diagnostic> {
    let mut files = Excerpts::default();
    errors.into_iter().map(|error| files.error(error.origin, error.message, read)).collect()
}

fn read(path: &Path) -> Option<String> {
    files::read_text(path, TEXT_BYTES_MAX).ok()
}

/// The files and folders that the plan names and that a load does not read: certificates, keys, authorities.
/// Blocks.
pub(crate) fn files_named_by(plan: &Plan) -> Vec<PathBuf> {
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

/// Listeners and upstreams of `new` that have other certificates or authorities than in `before`.
pub(crate) fn changes<'a>(before: &'a Generation, new: &'a Generation) -> FileChanges<'a> {
    let pairs: Vec<(&'a str, &Terminator, &Terminator)> = with_terminators(new)
        .filter_map(|(listener, now)| {
            let mut those = with_terminators(before);
            let (_, before) = those.find(|(before, _)| before.name == listener.name)?;
            Some((&*listener.name, now, before))
        })
        .collect();
    let shown = pairs.iter().filter(|(_, now, before)| now.shows_others_than(before));
    let trusting = pairs.iter().filter(|(_, now, before)| now.trusts_others_than(before));
    FileChanges {
        certificates: shown
            .map(|(listener, now, before)| CertificateChanges {
                listener,
                come: now.certificates_not_in(before),
                gone: before.certificates_not_in(now),
            })
            .collect(),
        client_authorities: trusting.map(|(listener, ..)| *listener).collect(),
        upstream_authorities: new.upstream_table.trusting_others_than(&before.upstream_table).collect(),
    }
}

fn with_terminators(generation: &Generation) -> impl Iterator<Item = (&Listener, &Terminator)> {
    let terminators = generation.plan.listeners.iter().zip(&generation.terminators);
    terminators.filter_map(|(listener, terminator)| Some((listener, terminator.as_ref()?)))
}

/// The value of `smolgate_certificates_outdated` for a generation.
pub(crate) fn served_instead(generation: &Generation) -> usize {
    generation.terminators.iter().flatten().map(Terminator::served_instead).sum()
}

/// The values of `smolgate_certificate_expiry_timestamp_seconds` for a generation. If a listener has several
/// certificates of one name, it is the soonest expiry.
pub(crate) fn expiries(generation: &Generation) -> Vec<CertificateExpiry> {
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
