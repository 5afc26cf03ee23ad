//! The files that a load has read, and hashes of their content. They tell later whether another load would read
//! something else.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use super::inputs::Inputs;

/// Each file and folder that a load asked for, including missing ones, with what was found there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFiles(BTreeMap<PathBuf, Content>);

/// The content of a path. Texts may hold secrets, so only a hash is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file.
    Text {
        /// Length in bytes.
        length: usize,
        /// Hash of the bytes. It has no meaning outside of this process.
        hash: u64,
    },
    /// A file that is not UTF-8.
    NotText,
    /// A folder: a hash of the names in it. Hidden names and names that end in `~` do not count, because editors
    /// make such files while a person is still writing.
    Folder(u64),
    /// Nothing is there, or it cannot be read.
    Unreadable,
}

impl Content {
    /// The content of a file with this text.
    pub fn text(bytes: &[u8]) -> Content {
        Content::Text { length: bytes.len(), hash: hash(bytes) }
    }

    /// The content of a folder with these entries, which are sorted.
    pub fn folder(entries: &[PathBuf]) -> Content {
        let names = entries.iter().filter_map(|entry| entry.file_name());
        let passing = |name: &[u8]| name.starts_with(b".") || name.ends_with(b"~");
        Content::Folder(hash(names.filter(|name| !passing(name.as_encoded_bytes())).collect::<Vec<_>>()))
    }
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl SourceFiles {
    /// Every path and its content.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, Content)> {
        self.0.iter().map(|(path, seen)| (path.as_path(), *seen))
    }

    /// The content of a path, if it was asked for.
    pub fn get(&self, path: &Path) -> Option<Content> {
        self.0.get(path).copied()
    }

    /// Adds a path and its content.
    pub fn note(&mut self, path: PathBuf, seen: Content) {
        self.0.insert(path, seen);
    }

    /// Whether every path that both have has equal content.
    pub fn same_content(&self, other: &SourceFiles) -> bool {
        self.iter().all(|(path, seen)| other.get(path).is_none_or(|found| found == seen))
    }
}

impl FromIterator<(PathBuf, Content)> for SourceFiles {
    fn from_iter<T: IntoIterator<Item = (PathBuf, Content)>>(all: T) -> SourceFiles {
        SourceFiles(all.into_iter().collect())
    }
}

/// [`Inputs`] that record what was asked for.
pub(crate) struct TracedInputs<'a> {
    inputs: &'a dyn Inputs,
    sources: RefCell<SourceFiles>,
}

impl<'a> TracedInputs<'a> {
    pub(crate) fn new(inputs: &'a dyn Inputs) -> TracedInputs<'a> {
        TracedInputs { inputs, sources: RefCell::default() }
    }

    /// The record.
    pub(crate) fn finish(self) -> SourceFiles {
        self.sources.into_inner()
    }
}

impl Inputs for TracedInputs<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        let text = self.inputs.read(path);
        let seen = match &text {
            Ok(text) => Content::text(text.as_bytes()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Content::NotText,
            Err(_) => Content::Unreadable,
        };
        self.sources.borrow_mut().note(path.into(), seen);
        text
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = self.inputs.list(dir);
        let seen = entries.as_ref().map_or(Content::Unreadable, |entries| Content::folder(entries));
        self.sources.borrow_mut().note(dir.into(), seen);
        entries
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.inputs.is_dir(path)
    }

    fn env(&self, name: &str) -> Option<String> {
        self.inputs.env(name)
    }

    fn env_names(&self) -> Vec<String> {
        self.inputs.env_names()
    }

    fn is_in_container(&self) -> bool {
        self.inputs.is_in_container()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MemoryInputs, load};

    fn paths(sources: &SourceFiles) -> Vec<String> {
        sources.iter().map(|(path, _)| path.display().to_string()).collect()
    }

    #[test]
    fn a_load_tells_everything_it_asked_for() {
        let inputs = MemoryInputs::new()
            .file("conf/a.yml", "internal_api: { token: \"${file:token}\" }")
            .file("conf/b.yml", "")
            .file("conf/token", "sesame");
        let loaded = load(&["conf".into()], &inputs).expect("a valid configuration");
        assert_eq!(paths(&loaded.sources), ["conf", "conf/a.yml", "conf/b.yml", "conf/token"]);
        let token = loaded.sources.get(Path::new("conf/token"));
        assert_eq!(token, Some(Content::text(b"sesame")));
    }

    #[test]
    fn a_failed_load_tells_everything_it_asked_for_too() {
        let inputs = MemoryInputs::new().file("a.yml", "x: 1\nworkers: \"${file:none}\"");
        let errors = load(&["a.yml".into(), "gone.yml".into()], &inputs).expect_err("not valid");
        assert_eq!(errors.sources().get(Path::new("gone.yml")), Some(Content::Unreadable));
        assert_eq!(errors.sources().get(Path::new("none")), Some(Content::Unreadable));
        assert!(matches!(errors.sources().get(Path::new("a.yml")), Some(Content::Text { .. })));
    }

    #[test]
    fn a_path_that_only_one_load_asked_for_is_no_difference() {
        let sources = |list: &[(&str, &str)]| -> SourceFiles {
            list.iter().map(|(path, text)| (PathBuf::from(path), Content::text(text.as_bytes()))).collect()
        };
        let one = sources(&[("a", "1"), ("b", "2")]);
        assert!(one.same_content(&sources(&[("b", "2"), ("c", "3")])));
        assert!(!one.same_content(&sources(&[("b", "3")])));
    }

    #[test]
    fn temporary_files_of_editors_are_no_difference() {
        let folder = |names: &[&str]| Content::folder(&names.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(folder(&["d/.a.yml.swp", "d/a.yml", "d/a.yml~"]), folder(&["d/a.yml"]));
        assert_ne!(folder(&["d/a.yml"]), folder(&["d/a.yml", "d/b.yml"]));
    }
}
