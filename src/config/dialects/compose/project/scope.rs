//! One file of a project: its tree and its variables.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::reader::{LabelError, Reader, Variables, join};
use crate::config::decode::Text;
use crate::config::syntax::Node;

/// One file, or several files that are merged, as one tree.
pub(super) struct Scope {
    pub(super) path: PathBuf,
    pub(super) root: Rc<Node>,
    pub(super) variables: Variables,
}

impl Scope {
    pub(super) fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The path of a compose file that this one names.
    pub(super) fn other(&self, written: &Text) -> Result<PathBuf, LabelError> {
        let is_elsewhere = written.text.contains("://") || written.text.starts_with("git@");
        if is_elsewhere {
            let message =
                format!("{} is not a file of this machine, and nothing is fetched", written.shown());
            return Err(LabelError::new(written.span, message, "put a copy beside this file and name that"));
        }
        Ok(join(self.dir(), &written.text))
    }
}

/// The variables of an included file. Those of the including file come before its own.
pub(super) fn included_variables(
    reader: &mut Reader<'_>,
    scope: &Scope,
    entry: &Node,
    path: &Path,
) -> Result<Variables, LabelError> {
    let dir = match entry.get("project_directory") {
        Some(dir) => join(scope.dir(), &reader.text(dir)?.text),
        None => path.parent().unwrap_or(Path::new("")).to_owned(),
    };
    let mut variables = scope.variables.clone();
    match entry.get("env_file") {
        Some(files) => {
            for file in reader.texts(files)? {
                let path = join(scope.dir(), &file.text);
                reader
                    .inputs
                    .read(&path)
                    .map_err(|error| LabelError::unreadable(file.span, &path, &error))?;
                variables = reader.variables(&path, &variables);
            }
        }
        None if dir != scope.dir() => variables = reader.variables(&dir.join(".env"), &variables),
        None => {}
    }
    Ok(variables)
}
