//! File patterns such as `compose/*/compose.yaml`.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::config::diagnostics::Report;
use crate::config::inputs::Inputs;

/// Paths that one pattern may expand to.
const PATHS_MAX: usize = 10_000;

/// The files and folders that a name or a pattern stands for. A pattern without any is an error.
pub(super) fn expand(path: &Path, inputs: &dyn Inputs, report: &mut Report) -> Vec<PathBuf> {
    if !is_pattern(path) {
        return vec![path.to_owned()];
    }
    match files(path, inputs) {
        Ok(found) => {
            if found.is_empty() {
                report.error_without_place(format!("there is no file {}", path.display()), None);
            }
            found
        }
        Err(error) => {
            report.error_without_place(format!("{} cannot be looked up: {error}", path.display()), None);
            Vec::new()
        }
    }
}

/// Whether a path is a pattern: a name with `*` or `?` in it.
pub(super) fn is_pattern(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().iter().any(|byte| matches!(byte, b'*' | b'?'))
}

/// Expands a pattern to its files and folders, sorted. `*` is any part of a name, `?` one character. Neither matches a leading
/// dot.
///
/// # Errors
/// A folder exists and cannot be listed.
fn files(pattern: &Path, inputs: &dyn Inputs) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    let parts: Vec<Component<'_>> = pattern.components().collect();
    for (index, part) in parts.iter().enumerate() {
        let is_last = index + 1 == parts.len();
        if !is_pattern(Path::new(part.as_os_str())) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let Some(wanted) = part.as_os_str().to_str() else { return Ok(Vec::new()) };
        let mut next = Vec::new();
        for dir in &found {
            next.extend(entries(dir, inputs)?.into_iter().filter(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                name.is_some_and(|name| matches(wanted, name)) && (is_last || inputs.is_dir(path))
            }));
            next.truncate(PATHS_MAX);
        }
        found = next;
    }
    // The part behind the pattern may be missing in some folders.
    found.retain(|path| inputs.is_dir(path) || inputs.read(path).is_ok());
    found.sort();
    Ok(found)
}

fn entries(dir: &Path, inputs: &dyn Inputs) -> io::Result<Vec<PathBuf>> {
    let here = dir.as_os_str().is_empty();
    let listed = match inputs.list(if here { Path::new(".") } else { dir }) {
        Ok(listed) => listed,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    Ok(listed.into_iter().map(|path| path.strip_prefix(".").map(Path::to_owned).unwrap_or(path)).collect())
}

/// Whether the pattern matches the name.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // The index of the last star, and the index in the name up to which it matches.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, n));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == name[n]) {
            p += 1;
            n += 1;
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            p = at + 1;
            n = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|char| *char == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MemoryInputs;

    #[test]
    fn a_pattern_matches_names() {
        for (pattern, name, expected) in [
            ("*", "a", true),
            ("*", ".a", false),
            (".*", ".a", true),
            ("*.yaml", "compose.yaml", true),
            ("*.yaml", "compose.yml", false),
            ("c?mp*e.y*ml", "compose.yaml", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("?", "", false),
            ("**", "ä", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_gives_the_files_that_are_there() {
        let inputs = MemoryInputs::new()
            .file("apps/b/compose.yaml", "")
            .file("apps/a/compose.yaml", "")
            .file("apps/c/other.yaml", "")
            .file("apps/.hidden/compose.yaml", "")
            .file("top.yaml", "");
        let expanded = |pattern: &str| files(Path::new(pattern), &inputs).expect("folders can be listed");
        assert_eq!(
            expanded("apps/*/compose.yaml"),
            ["apps/a/compose.yaml", "apps/b/compose.yaml"].map(PathBuf::from)
        );
        assert_eq!(expanded("*/?/*.yaml").len(), 3);
        assert_eq!(expanded("*.yaml"), [PathBuf::from("top.yaml")]);
        assert!(expanded("none/*").is_empty());
        assert!(is_pattern(Path::new("a/*")) && !is_pattern(Path::new("a/b.yaml")));
    }
}
