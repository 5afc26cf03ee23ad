//! A gate that the files of a configuration describe, as it would run elsewhere.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::inputs::Inputs;

/// The environment of a gate that the files say how to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGate {
    /// Its name, for messages.
    pub name: String,
    /// Its environment variables. Paths in them are those of this machine.
    pub variables: BTreeMap<String, String>,
    /// The names of those that a gate reads, as they are written.
    pub written: Vec<String>,
    /// Paths that the gate will have and this machine has not.
    pub elsewhere: Vec<PathBuf>,
}

impl DescribedGate {
    /// The inputs of the gate: these files, and its variables where the environment has none.
    pub fn inputs<'a>(&'a self, inputs: &'a dyn Inputs) -> impl Inputs + 'a {
        DescribedInputs { gate: self, inputs }
    }
}

struct DescribedInputs<'a> {
    gate: &'a DescribedGate,
    inputs: &'a dyn Inputs,
}

impl Inputs for DescribedInputs<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.inputs.read(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.inputs.list(dir)
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.inputs.is_dir(path)
    }

    fn env(&self, name: &str) -> Option<String> {
        self.inputs.env(name).or_else(|| self.gate.variables.get(name).cloned())
    }

    fn env_names(&self) -> Vec<String> {
        let mut names = self.inputs.env_names();
        names.extend(self.gate.variables.keys().cloned());
        names
    }

    fn is_in_container(&self) -> bool {
        true
    }
}
