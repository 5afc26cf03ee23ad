//! The files of the project as such: which there are, and what they may hold.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// A file that is tracked, or would be by `git add .`.
pub(crate) struct File {
    /// From the root of the project, with `/` between folders.
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
}

/// Ends of names that are not text of ours.
const FOREIGN: [&str; 29] = [
    ".7z", ".a", ".bin", ".bz2", ".class", ".der", ".dll", ".exe", ".gif", ".gz", ".ico", ".jpeg", ".jpg",
    ".log", ".o", ".orig", ".p12", ".pdf", ".png", ".profraw", ".pyc", ".rej", ".rlib", ".so", ".swp",
    ".tar", ".wasm", ".zip", "~",
];
/// Pictures of the page of the internal API, which `media/page.sh` makes. Only a browser can draw them.
const PICTURES: [&str; 3] = ["media/page.png", "media/page-dark.png", "media/page-phone.png"];
/// The largest picture, in bytes.
const PICTURE_BYTES_MAX: usize = 256 * 1024;
/// Folders that a tool makes.
const GENERATED: [&str; 3] = ["target", "node_modules", "__pycache__"];

/// Every file of the project.
pub(crate) fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output();
    let paths: Vec<String> = match listed {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).split_terminator('\0').map(str::to_owned).collect()
        }
        _ => walk(root, ""),
    };
    // A file that was deleted and not yet committed is listed and not there.
    let read = |path: String| Some(File { bytes: std::fs::read(root.join(&path)).ok()?, path });
    let files: Vec<File> = paths.into_iter().filter_map(read).collect();
    assert!(files.iter().any(|file| file.path == "src/lib.rs"), "the tree was not found");
    files
}

/// Where the sources stand without their repository.
fn walk(root: &Path, folder: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(root.join(folder)).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        match entry.file_type().unwrap().is_dir() {
            true if name == "target" || name == ".git" => {}
            true => paths.extend(walk(root, &path)),
            false => paths.push(path),
        }
    }
    paths
}

/// Refuses spaces and tabs at the end of a line, and any tab in Rust.
pub(crate) fn spaces(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    if PICTURES.contains(&&*file.path) {
        return found;
    }
    let text = String::from_utf8_lossy(&file.bytes);
    for (index, line) in text.lines().enumerate() {
        if line.ends_with([' ', '\t']) {
            found.push(format!("{}:{}: space at the end of the line", file.path, index + 1));
        }
        if file.path.ends_with(".rs") && line.contains('\t') {
            found.push(format!("{}:{}: tab", file.path, index + 1));
        }
    }
    found
}

/// Refuses what a person did not write.
pub(crate) fn foreign(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |what: &str| found.push(format!("{}: {what}", file.path));
    if PICTURES.contains(&&*file.path) {
        if file.bytes.len() > PICTURE_BYTES_MAX {
            say("a picture larger than 256 KiB");
        }
        return found;
    }
    if FOREIGN.iter().any(|end| file.path.ends_with(end)) {
        say("binary or generated, by its name");
    }
    if file.path.split('/').rev().skip(1).any(|folder| GENERATED.contains(&folder)) {
        say("in a folder that a tool makes");
    }
    if file.bytes.contains(&0) {
        say("binary: it has a NUL byte");
    }
    found
}

/// Refuses notes of what is still to be done.
pub(crate) fn notes(file: &File) -> Vec<String> {
    let text = String::from_utf8_lossy(&file.bytes);
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let marked = |line: &str| marks.iter().any(|mark| crate::source::words(line, mark).next().is_some());
    let lines = text.lines().enumerate().filter(|(_, line)| marked(line));
    lines.map(|(index, _)| format!("{}:{}: a note of work left undone", file.path, index + 1)).collect()
}

/// Wants a `mod.rs` in every folder of `src`.
pub(crate) fn folders(paths: &[String]) -> Vec<String> {
    let folders: BTreeSet<&str> = paths
        .iter()
        .filter(|path| path.starts_with("src/") && path.ends_with(".rs"))
        .filter_map(|path| path.rsplit_once('/').map(|(folder, _)| folder))
        .filter(|&folder| folder != "src")
        .collect();
    let bare = folders.into_iter().filter(|folder| !paths.contains(&format!("{folder}/mod.rs")));
    bare.map(|folder| format!("{folder}: no mod.rs")).collect()
}

/// The lines of a manifest that name a dependency, each with the line above it.
pub(crate) fn dependencies(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut inside = false;
    manifest.lines().zip(manifest.lines().skip(1)).filter(move |(_, line)| {
        if line.starts_with('[') {
            inside = line.trim_end_matches(']').ends_with("dependencies");
        }
        inside && line.starts_with(|char: char| char.is_ascii_alphanumeric()) && line.contains('=')
    })
}

/// Wants a comment above each dependency.
pub(crate) fn unexplained(manifest: &str) -> Vec<String> {
    let bare = dependencies(manifest).filter(|(above, _)| !above.starts_with("# "));
    bare.map(|(_, line)| format!("Cargo.toml: no comment above `{line}`")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), bytes: text.as_bytes().to_vec() }
    }

    #[test]
    fn the_walk_finds_what_git_lists() {
        let walked = walk(Path::new(env!("CARGO_MANIFEST_DIR")), "src");
        assert!(walked.contains(&"src/lib.rs".to_owned()));
        assert!(walked.contains(&"src/config/plan/top_level.rs".to_owned()));
    }

    #[test]
    fn spaces_at_line_ends_and_tabs_are_found() {
        assert!(spaces(&file("a.md", "a\n\n b\tc\n")).is_empty());
        assert_eq!(spaces(&file("a.md", "a \nb\t\n")).len(), 2);
        assert_eq!(spaces(&file("a.rs", "a\tb\n")), ["a.rs:1: tab"]);
    }

    #[test]
    fn what_is_foreign_is_found() {
        for good in ["src/a.rs", "media/picture.svg", "config/data.yml", "src/target.rs"] {
            assert!(foreign(&file(good, "text")).is_empty(), "{good}");
        }
        for bad in ["logo.png", "target/debug/x", "a.rs.orig", "a.rs~", "tests/__pycache__/x"] {
            assert_eq!(foreign(&file(bad, "text")).len(), 1, "{bad}");
        }
        assert_eq!(foreign(&file("a.txt", "a\0b")).len(), 1);
    }

    #[test]
    fn notes_of_work_left_are_found() {
        assert_eq!(notes(&file("a.rs", concat!("// TO", "DO: more\n// FIX", "ME\n"))).len(), 2);
        assert!(notes(&file("a.rs", concat!("// to", "do TO", "DOS\n"))).is_empty());
    }

    #[test]
    fn a_folder_without_mod_rs_is_found() {
        let paths = |list: &[&str]| list.iter().map(|&path| path.to_owned()).collect::<Vec<_>>();
        assert!(folders(&paths(&["src/lib.rs", "src/a/mod.rs", "src/a/b.rs", "tests/x/y.rs"])).is_empty());
        assert_eq!(folders(&paths(&["src/lib.rs", "src/a/b.rs", "src/a/c/mod.rs"])), ["src/a: no mod.rs"]);
    }

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\n# Why.\na = \"1\"\nb = \"1\"\n\n\
                        [dev-dependencies]\nc = { version = \"1\" }\n[lints.rust]\nd = \"deny\"\n";
        assert_eq!(dependencies(manifest).count(), 3);
        assert_eq!(
            unexplained(manifest),
            [
                "Cargo.toml: no comment above `b = \"1\"`",
                "Cargo.toml: no comment above `c = { version = \"1\" }`"
            ]
        );
    }
}
