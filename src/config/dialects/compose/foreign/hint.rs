//! The hint for a project that is written for another proxy.

use super::entry;
use super::known::SOURCES;
use super::source::Source;
use crate::config::diagnostics::quoted;
use crate::config::dialects::compose::project::{Project, Reader, pairs};

/// A hint which command writes the labels of a project, if its services have entries for another proxy.
pub(in crate::config::dialects::compose) fn hint(reader: &Reader<'_>, project: &Project) -> Option<String> {
    let file = reader.report.origin(project.span).file.to_string();
    project.services.iter().find_map(|service| {
        SOURCES.iter().find_map(|source| {
            let nodes = source.keys.iter().filter_map(|key| entry::find(&service.node, key));
            let mut names = nodes.flat_map(pairs).map(|(name, _)| name);
            let first = names.find(|name| (source.is_its)(&name.value.to_lowercase()))?;
            let place = reader.report.place(first.span);
            let service = quoted(&service.name.value);
            let Source { name, title, word, .. } = source;
            Some(format!(
                "{service} has {word} for {title} ({place}): `smolgate adapt --from {name} {file}` prints the labels of the gate"
            ))
        })
    })
}
