//! From files to a checked plan: what everybody else calls.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::decoder::Decoder;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::plan::Plan;
use super::report::Report;
use super::source::Source;
use super::{checks, lowering, yaml};

/// What a configuration needs from outside: files and environment variables.
pub trait Inputs {
    /// The text of a file.
    fn read(&self, path: &Path) -> io::Result<String>;
    /// The paths of everything in a folder, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
    /// Whether this is a folder.
    fn is_dir(&self, path: &Path) -> bool;
    /// An environment variable, when it is set and is text.
    fn env(&self, name: &str) -> Option<String>;
}

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it means.
    pub plan: Plan,
    /// What is probably not meant so.
    pub warnings: Vec<Diagnostic>,
}

/// Reads, merges and checks files; one that names a folder stands for the `*.yml` and `*.yaml` in
/// it, sorted, hidden ones left out.
///
/// # Errors
/// Everything that is wrong in any of the files, and the warnings with it.
pub fn load(files: &[PathBuf], inputs: &dyn Inputs) -> Result<Loaded, Diagnostics> {
    let mut report = Report::default();
    let mut source = Source::default();
    let files = expand_folders(files, inputs, &mut report);
    for path in &files {
        read_file(path, inputs, &mut source, &mut report);
    }
    let lowered = lowering::lower(source, files, inputs, &mut report);
    if report.has_errors() {
        return Err(report.finish());
    }
    // What these look for would often be a consequence of an error.
    checks::warn(&lowered, &mut report);
    Ok(Loaded { plan: lowered.plan, warnings: report.finish().into_vec() })
}

fn expand_folders(files: &[PathBuf], inputs: &dyn Inputs, report: &mut Report) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for path in files {
        if !inputs.is_dir(path) {
            all.push(path.clone());
            continue;
        }
        let before = all.len();
        match inputs.list(path) {
            Ok(entries) => all
                .extend(entries.into_iter().filter(|entry| is_configuration(entry) && !inputs.is_dir(entry))),
            Err(error) => {
                report.error_nowhere(format!("the folder {} cannot be read: {error}", path.display()), None)
            }
        }
        if all.len() == before && !report.has_errors() {
            report.error_nowhere(format!("the folder {} holds no *.yml and no *.yaml", path.display()), None);
        }
    }
    all
}

fn is_configuration(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml")
}

fn read_file(path: &Path, inputs: &dyn Inputs, source: &mut Source, report: &mut Report) {
    let text: Arc<str> = match inputs.read(path) {
        // A byte order mark would shift every column of the first line.
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(&text).into(),
        Err(error) => {
            return report.error_nowhere(format!("{} cannot be read: {error}", path.display()), None);
        }
    };
    if text.len() > yaml::TEXT_BYTES_MAX {
        return report.error_nowhere(format!("{} is longer than 16MiB", path.display()), None);
    }
    let file = report.add_file(path, &text);
    if let Some(root) = yaml::parse(&text, file, report) {
        let dir = path.parent().unwrap_or(Path::new(""));
        source.read(&mut Decoder { report, inputs, dir }, root);
    }
}

/// [`Inputs`] that were written down beforehand, for tests and built-in examples.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    files: BTreeMap<PathBuf, String>,
    environment: BTreeMap<String, String>,
}

impl Memory {
    /// No file and no variable.
    pub fn new() -> Memory {
        Memory::default()
    }

    /// With one more file. Folders are there as soon as a file stands in them.
    pub fn file(mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> Memory {
        self.files.insert(path.into(), text.into());
        self
    }

    /// With one more environment variable.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Memory {
        self.environment.insert(name.into(), value.into());
        self
    }
}

impl Inputs for Memory {
    fn read(&self, path: &Path) -> io::Result<String> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no such file");
        self.files.get(path).cloned().ok_or_else(missing)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.files.keys().filter(|path| path.parent() == Some(dir)).cloned().collect())
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.files.keys().any(|file| file.parent() == Some(path))
    }

    fn env(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }
}
