//! Reads compose files and the environment into the rules of two listeners.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::conflicts;
use super::foreign;
use super::gate;
use super::listeners::{self, Compose, Https};
use super::networks::NetworkMap;
use super::project::{self, Project, Reader, join};
use super::rejection::Names;
use super::route::Route;
use super::service;
use super::sets;
use super::shares;
use crate::config::described::DescribedGate;
use crate::config::diagnostics::{Report, Span, Spanned};
use crate::config::dialects::file::ConfigFile;
use crate::config::inputs::Inputs;
use crate::config::plan::{AccessLog, AccessLogFormat, AccessLogTo, StorePlace};
use crate::config::source::{AcmeSource, AuthoritySource, Source};
use crate::config::values::environment::{self, Variable};
use crate::config::values::{ValueError, access_log, authority, target};

/// Adds the projects of all files to `source`.
pub(crate) fn read(
    files: Vec<Vec<ConfigFile>>,
    source: &mut Source,
    inputs: &dyn Inputs,
    report: &mut Report,
) {
    let mut reader = Reader::new(report, inputs);
    let projects = projects(files, &mut reader);
    let Some(span) = projects.first().map(|project| project.span) else { return };
    let https = https(&mut reader, source, span);
    let map = NetworkMap::new(&reader, &projects);
    let names = Names::of(source);
    let mut all: Vec<Route> = Vec::new();
    let mut rejected = HashSet::new();
    let has_listeners = !source.listeners.is_empty();
    for (index, project) in projects.iter().enumerate() {
        let (before, bad) = (all.len(), rejected.len());
        for (number, service) in project.services.iter().enumerate() {
            let (routes, is_rejected) =
                service::routes_of(&mut reader, (&map, &names), (index, number), service);
            all.extend(routes);
            rejected.extend(is_rejected.then_some((index, number)));
        }
        let may_be_empty = has_listeners || projects.len() > 1 && map.runs_gate(index);
        if all.len() == before && bad == rejected.len() && !may_be_empty {
            nothing_is_routed(&mut reader, project);
        }
    }
    rejected.extend(conflicts::reject(&mut all, reader.report));
    rejected.extend(shares::join(&mut all, reader.report));
    let from_environment = access_log(&mut reader).map(|value| Spanned { value, span });
    let written = from_environment.or_else(|| source.access_log.take());
    source.access_log = Some(written.unwrap_or(Spanned { value: Some(ACCESS_LOG), span }));
    let http_port = parsed(&mut reader, "HTTP_PORT", target::bind);
    source.files.append(&mut reader.files);
    source.rejected_services = rejected.len();
    listeners::add(&mut source.listeners, &Compose { span, http_port, https, routes: all }, report);
}

/// Warns of a project without a route. The hint for services for another proxy says how to write theirs.
fn nothing_is_routed(reader: &mut Reader<'_>, project: &Project) {
    let message = "no service here has a label `smolgate.host`: nothing is routed";
    let hint = foreign::hint(reader, project)
        .unwrap_or_else(|| "add `labels: { smolgate.host: NAME, smolgate.port: PORT }` to one".to_owned());
    reader.report.warning(Some(project.span), message, hint);
}

fn projects(files: Vec<Vec<ConfigFile>>, reader: &mut Reader<'_>) -> Vec<Project> {
    let sets = sets::of_projects(files, reader);
    sets.into_iter().filter_map(|files| project::read(reader, files)).collect()
}

/// The gate that a service of the files will run. Errors in the files are for [`read`] to report.
pub(super) fn describe(
    files: Vec<Vec<ConfigFile>>,
    inputs: &dyn Inputs,
    report: &mut Report,
) -> Option<DescribedGate> {
    let mut reader = Reader::new(report, inputs);
    let projects = projects(files, &mut reader);
    let (project, service) = NetworkMap::new(&reader, &projects).gate()?;
    gate::describe(&mut reader, &projects[project], service)
}

/// The services with labels of the gate in the place of those for another proxy. A service that is broken is an error.
pub(super) fn adapt(
    name: &str,
    files: Vec<Vec<ConfigFile>>,
    inputs: &dyn Inputs,
    report: &mut Report,
) -> Option<String> {
    let mut reader = Reader::new(report, inputs);
    let projects = projects(files, &mut reader);
    for fault in
        projects.iter().flat_map(|project| &project.services).filter_map(|service| service.broken.as_ref())
    {
        reader.report.error_hint(fault.span, fault.message.as_str(), fault.hint.as_str());
    }
    foreign::page(&reader, foreign::named(name)?, &projects)
}

/// The settings of HTTPS. With an address of mail, certificates are ordered, unless a file says how.
fn https(reader: &mut Reader<'_>, source: &mut Source, span: Span) -> Https {
    let enabled = flag(reader, "HTTPS_ENABLED");
    let dir = environment::variable(reader.inputs, "ACME_DIR");
    let certificates = join(Path::new(""), dir.as_ref().map_or(CERTIFICATES, |dir| dir.value.trim()));
    if enabled && source.acme.is_none() {
        source.acme = orders(reader, span).map(|value| Spanned { value, span });
        let store = || Spanned { value: StorePlace::Folder(certificates.clone()), span };
        source.store = source.store.take().or_else(|| source.acme.as_ref().map(|_| store()));
    }
    Https {
        enabled,
        port: parsed(reader, "HTTPS_PORT", target::bind),
        certificates,
        orders: source.acme.is_some(),
    }
}

/// How the environment wants certificates to be ordered. `None` without `*_ACME_EMAIL`.
fn orders(reader: &mut Reader<'_>, span: Span) -> Option<AcmeSource> {
    let email = parsed(reader, "ACME_EMAIL", authority::email)?;
    let directories = parsed(reader, "ACME_CA", directories).unwrap_or_default();
    let cas = directories.into_iter().map(|directory| AuthoritySource::new(span, directory)).collect();
    let staging = flag(reader, "ACME_STAGING").then_some(span);
    Some(AcmeSource { email: Some(email), cas, staging, ..AcmeSource::default() })
}

/// One or many authorities, with commas between.
fn directories(text: &str) -> Result<Vec<Result<usize, Arc<str>>>, ValueError> {
    text.split(',').map(|one| authority::directory(one.trim())).collect()
}

/// A variable that says yes or no.
fn flag(reader: &mut Reader<'_>, name: &str) -> bool {
    parsed(reader, name, environment::flag).unwrap_or_default()
}

/// The value of a variable, if it is set and valid.
fn parsed<T>(reader: &mut Reader<'_>, name: &str, parse: fn(&str) -> Result<T, ValueError>) -> Option<T> {
    let Variable { name, value } = environment::variable(reader.inputs, name)?;
    let failed = |error: ValueError| {
        reader.report.error_without_place(format!("the value of {name} {}", error.problem), error.hint);
    };
    parse(value.trim()).map_err(failed).ok()
}

/// The default folder of certificates, relative to where the gate was started.
const CERTIFICATES: &str = "./certs";

/// The access log by default: lines for `docker compose logs`.
const ACCESS_LOG: AccessLog = AccessLog { to: AccessLogTo::Stdout, format: AccessLogFormat::Human };

/// The access log of the environment: `stdout`, `off` or a path.
fn access_log(reader: &mut Reader<'_>) -> Option<Option<AccessLog>> {
    let Variable { name, value } = environment::variable(reader.inputs, "ACCESS_LOG")?;
    let to = access_log::word(value.trim()).unwrap_or_else(|error| {
        reader.report.error_without_place(format!("the value of {name} {}", error.problem), error.hint);
        Some(None)
    });
    let to = to.unwrap_or_else(|| Some(AccessLogTo::File(join(Path::new(""), value.trim()))));
    Some(to.map(|to| AccessLog { to, format: AccessLogFormat::Json }))
}
