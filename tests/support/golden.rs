//! Golden files: an input, a line `----`, and the expected output. Lines `==> name <==` divide an input into
//! files. `UPDATE_GOLDEN=1` in the environment writes the actual output; read the difference before you keep
//! it.

use std::fs;
use std::path::{Path, PathBuf};

use smolgate::config::{MemoryInputs, load, view};

/// One golden file.
pub struct Golden {
    pub path: PathBuf,
    pub input: String,
    pub expected: String,
}

/// The golden files of a folder of `tests/golden`, by name; `at_least` so many.
#[track_caller]
pub fn golden_files(folder: &str, at_least: usize) -> Vec<Golden> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let entries = fs::read_dir(dir).expect("the folder of golden files");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    // Without its feature a key is an error.
    let features = [("path_regex", cfg!(feature = "regex")), ("/plugins", cfg!(feature = "plugins"))];
    let is_whole = |path: &str| features.iter().all(|(name, is_on)| *is_on || !path.contains(name));
    paths.retain(|path| is_whole(&path.to_string_lossy()));
    paths.sort();
    assert!(paths.len() >= at_least, "there are only {} golden files", paths.len());
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a golden file");
        let (input, expected) = text.split_once("----\n").expect("a line ----");
        Golden { path, input: input.into(), expected: expected.into() }
    };
    paths.into_iter().map(read).collect()
}

/// The warnings and the plan of these files, or the diagnostics.
pub fn outcome((memory, paths): (MemoryInputs, Vec<PathBuf>)) -> String {
    match load(&paths, &memory) {
        Ok(loaded) => {
            let warnings: String =
                loaded.warnings.iter().map(|warning| warning.render(false) + "\n").collect();
            format!("{warnings}{}", view(&loaded.plan))
        }
        Err(diagnostics) => diagnostics.to_string(),
    }
}

/// Fails if an input gives another output than expected.
#[track_caller]
pub fn compare(files: &[Golden], outcome: impl Fn(&str) -> String) {
    let mut wrong = Vec::new();
    for Golden { path, input, expected } in files {
        let actual = outcome(input);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(path, format!("{input}----\n{actual}")).expect("a golden file");
        } else if actual != *expected {
            wrong.push(format!("{}:\n--- expected\n{expected}\n--- actual\n{actual}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Puts the files of an input into memory, beside the files of `memory`. Returns their paths in order.
pub fn in_memory(mut memory: MemoryInputs, input: &str, otherwise: &str) -> (MemoryInputs, Vec<PathBuf>) {
    let mut paths = Vec::new();
    for (path, text) in divided(input, otherwise) {
        paths.push(path.clone());
        memory = memory.file(path, text);
    }
    (memory, paths)
}

/// The files of an input. Text before the first name belongs to a file called `otherwise`.
fn divided(input: &str, otherwise: &str) -> Vec<(PathBuf, String)> {
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    for line in input.lines() {
        match line.strip_prefix("==> ").and_then(|line| line.strip_suffix(" <==")) {
            Some(name) => files.push((name.into(), String::new())),
            None => {
                if files.is_empty() {
                    files.push((otherwise.into(), String::new()));
                }
                let text = &mut files.last_mut().expect("a file was pushed").1;
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    if files.is_empty() {
        files.push((otherwise.into(), String::new()));
    }
    files
}
