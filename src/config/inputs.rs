//! The inputs of a load: its only way to the outside.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// Files and environment variables that a configuration needs.
pub trait Inputs {
    /// The text of a file.
    fn read(&self, path: &Path) -> io::Result<String>;
    /// The paths of everything in a folder, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
    /// Whether this is a folder.
    fn is_dir(&self, path: &Path) -> bool;
    /// An environment variable, if it is set and is text.
    fn env(&self, name: &str) -> Option<String>;
    /// The names of all environment variables that are text.
    fn env_names(&self) -> Vec<String>;
    /// Whether the gate that they are for runs in a container.
    fn is_in_container(&self) -> bool;
}

/// [`Inputs`] from memory, for tests and built-in examples.
#[derive(Clone, Debug, Default)]
pub struct MemoryInputs {
    files: BTreeMap<PathBuf, String>,
    environment: BTreeMap<String, String>,
}

impl MemoryInputs {
    /// No file and no variable.
    pub fn new() -> MemoryInputs {
        MemoryInputs::default()
    }

    /// Adds a file. Its folders exist too.
    pub fn file(mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> MemoryInputs {
        self.files.insert(path.into(), text.into());
        self
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> MemoryInputs {
        self.environment.insert(name.into(), value.into());
        self
    }
}

impl Inputs for MemoryInputs {
    fn read(&self, path: &Path) -> io::Result<String> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no such file");
        self.files.get(path).cloned().ok_or_else(missing)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let dir = if dir == Path::new(".") { Path::new("") } else { dir };
        let entry = |file: &PathBuf| {
            let first = file.strip_prefix(dir).ok()?.components().next()?;
            Some(dir.join(first))
        };
        let entries: BTreeSet<PathBuf> = self.files.keys().filter_map(entry).collect();
        Ok(entries.into_iter().collect())
    }

    fn is_dir(&self, path: &Path) -> bool {
        let mut folders = self.files.keys().flat_map(|file| file.ancestors().skip(1));
        path == Path::new(".") || (!path.as_os_str().is_empty() && folders.any(|folder| folder == path))
    }

    fn env(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    fn env_names(&self) -> Vec<String> {
        self.environment.keys().cloned().collect()
    }

    fn is_in_container(&self) -> bool {
        true
    }
}
