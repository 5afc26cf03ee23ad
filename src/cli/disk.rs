//! The real inputs of a configuration: files and the environment of this process.

use std::io;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};

use crate::config::{Inputs, TEXT_BYTES_MAX};
use crate::files;

/// Reads the current content and keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskInputs;

impl Inputs for DiskInputs {
    fn read(&self, path: &Path) -> io::Result<String> {
        files::read_text(path, TEXT_BYTES_MAX)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut entries =
            std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        Ok(entries)
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn env_names(&self) -> Vec<String> {
        std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
    }

    /// Docker and Podman make these files in their containers. In a container of its own, the process is the first one, or
    /// a child of `docker-init`, or has no parent there (`docker exec`).
    fn is_in_container(&self) -> bool {
        let has_its_own = std::process::id() == 1 || parent_id() <= 1;
        has_its_own && ["/.dockerenv", "/run/.containerenv"].iter().any(|file| Path::new(file).exists())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_a_folder_in_order() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        for name in ["b.yml", "a.yml"] {
            std::fs::write(dir.path().join(name), name).expect("a file");
        }
        assert!(DiskInputs.is_dir(dir.path()));
        let entries = DiskInputs.list(dir.path()).expect("entries");
        assert_eq!(entries, [dir.path().join("a.yml"), dir.path().join("b.yml")]);
        assert_eq!(DiskInputs.read(&entries[0]).expect("text"), "a.yml");
    }
}
