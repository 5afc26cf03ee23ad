//! The files of each project, of all files that were named.

use std::path::{Path, PathBuf};

use super::files;
use super::project::{Reader, join};
use crate::config::dialects::file::ConfigFile;
use crate::config::syntax::Value;

/// The files of one project, in the order in which they are merged.
type Set = Vec<ConfigFile>;

/// Joins the sets that belong to one project.
pub(super) fn of_projects(named: Vec<Set>, reader: &mut Reader<'_>) -> Vec<Set> {
    let mut sets: Vec<Set> = Vec::new();
    for named in named.into_iter().filter(|named| !named.is_empty()) {
        match sets.iter_mut().find(|set| is_one_project(set, &named)) {
            Some(set) => {
                set.extend(named);
                // Of a whole folder, an override would come before the file that it overrides.
                set.sort_by_key(|file| files::is_override(&file.path));
            }
            None => sets.push(named),
        }
    }
    sets.iter().for_each(|set| warn_of_override(set, reader));
    sets
}

/// Whether two sets belong to one project. It has one name, or no name and one folder.
fn is_one_project(one: &Set, other: &Set) -> bool {
    match (name(one), name(other)) {
        (Some(one), Some(other)) => one == other,
        _ => folder(one) == folder(other),
    }
}

/// The name of a project. The last file that has one counts.
fn name(set: &Set) -> Option<&str> {
    set.iter().rev().find_map(|file| match &file.tree.root.get("name")?.value {
        Value::Scalar(name) => Some(name.as_str()),
        _ => None,
    })
}

/// The folder of a project, which is that of its first file.
fn folder(set: &Set) -> PathBuf {
    let path = set.first().map_or(Path::new(""), |file| &file.path);
    join(Path::new(""), path.parent().unwrap_or(Path::new("")))
}

/// Warns of an override that is not read because the file beside it was named.
fn warn_of_override(set: &Set, reader: &mut Reader<'_>) {
    let [file] = set.as_slice() else { return };
    let Some(path) = files::override_beside(&file.path, reader.inputs) else { return };
    if files::listed(&folder(set), reader.inputs).is_some() {
        return;
    }
    let (named, over) = (file.path.display(), path.display());
    let message = format!("{over} is not read, because {named} was named, as `docker compose -f` does it");
    let hint = format!("name the folder to read both, or both files: {named}:{over}");
    reader.report.warning(None, message, hint);
}
