//! The files of projects, by the names that a person gives them.

use std::path::{Path, PathBuf};

use super::patterns;
use super::project::{dotenv_variable, join};
use crate::config::diagnostics::Report;
use crate::config::inputs::Inputs;

/// The default names of compose files.
pub(super) const NAMES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// The default names of overrides. `docker compose` merges one into a file with a default name.
const OVERRIDES: [&str; 4] = [
    "compose.override.yaml",
    "compose.override.yml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// The files that a name stands for, project by project. A name is a file, a folder, a pattern for several of
/// them, or a list of files of one project.
pub(super) fn expand(name: &Path, inputs: &dyn Inputs, report: &mut Report) -> Vec<Vec<PathBuf>> {
    let separator = inputs.env(SEPARATOR).filter(|value| !value.is_empty());
    let parts = parts(name, separator.as_deref());
    if let [name] = parts.as_slice() {
        let is_pattern = patterns::is_pattern(name);
        let found = patterns::expand(name, inputs, report).into_iter();
        return found.filter_map(|path| project(&path, is_pattern, inputs, report)).collect();
    }
    let files = parts.iter().flat_map(|part| patterns::expand(part, inputs, report));
    vec![files.filter(|path| !inputs.is_dir(path)).collect()]
}

/// The files of the project that one path stands for. A folder without a compose file is an error, unless a pattern
/// led there.
fn project(path: &Path, by_pattern: bool, inputs: &dyn Inputs, report: &mut Report) -> Option<Vec<PathBuf>> {
    if !inputs.is_dir(path) {
        let dir = path.parent().unwrap_or(Path::new(""));
        let listed = listed(dir, inputs).filter(|files| files.contains(&join(Path::new(""), path)));
        return Some(listed.unwrap_or_else(|| vec![path.to_owned()]));
    }
    let files = listed(path, inputs).or_else(|| default_files(path, inputs));
    if files.is_none() && !by_pattern {
        let message = format!("the folder {} holds none of {}", path.display(), NAMES.join(", "));
        report.error_without_place(message, Some("name the compose file itself"));
    }
    files
}

/// The file with a default name in a folder, and its override.
fn default_files(dir: &Path, inputs: &dyn Inputs) -> Option<Vec<PathBuf>> {
    let file = first_of(&NAMES, dir, inputs)?;
    Some(std::iter::once(file).chain(first_of(&OVERRIDES, dir, inputs)).collect())
}

fn first_of(names: &[&str], dir: &Path, inputs: &dyn Inputs) -> Option<PathBuf> {
    names.iter().map(|name| join(dir, name)).find(|path| inputs.read(path).is_ok())
}

/// The variable with the files of a folder, as `docker compose` has it.
pub(super) const LIST: &str = "COMPOSE_FILE";
/// The variable with the separator of such a list.
const SEPARATOR: &str = "COMPOSE_PATH_SEPARATOR";

/// The files that `COMPOSE_FILE` names, in the environment or in the `.env` of the folder.
pub(super) fn listed(dir: &Path, inputs: &dyn Inputs) -> Option<Vec<PathBuf>> {
    let variable = |name| dotenv_variable(inputs, dir, name).filter(|value| !value.trim().is_empty());
    let files = parts(Path::new(&variable(LIST)?), variable(SEPARATOR).as_deref());
    Some(files.into_iter().map(|file| join(dir, file)).collect())
}

/// The names of a list.
fn parts(list: &Path, separator: Option<&str>) -> Vec<PathBuf> {
    let Some(text) = list.to_str() else { return vec![list.to_owned()] };
    let parts = text.split(separator.unwrap_or(":")).map(str::trim);
    parts.filter(|part| !part.is_empty()).map(PathBuf::from).collect()
}

/// The override beside a file with a default name.
pub(super) fn override_beside(path: &Path, inputs: &dyn Inputs) -> Option<PathBuf> {
    let is_default = path.file_name().is_some_and(|name| NAMES.iter().any(|known| name == *known));
    first_of(&OVERRIDES, path.parent().unwrap_or(Path::new("")), inputs).filter(|_| is_default)
}

/// Whether a file has the default name of an override.
pub(super) fn is_override(path: &Path) -> bool {
    path.file_name().is_some_and(|name| OVERRIDES.iter().any(|known| name == *known))
}
