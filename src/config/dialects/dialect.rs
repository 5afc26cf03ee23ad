//! A dialect, as the table has it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::file::ConfigFile;
use crate::config::described::DescribedGate;
use crate::config::diagnostics::Report;
use crate::config::inputs::Inputs;
use crate::config::source::Source;
use crate::config::syntax::{Node, Tree};

/// A row of the table.
pub(crate) struct Dialect {
    /// The value of `--format`.
    pub(super) name: &'static str,
    /// The description in `--help`.
    pub(super) about: &'static str,
    /// Keys at the top of a file that only this dialect has. One of them tells the dialect.
    pub(super) keys: &'static [&'static str],
    /// Keys at the top that other formats have too.
    pub(super) shared: &'static [&'static str],
    /// Files that are tried if none is named.
    pub(super) default_files: &'static [&'static str],
    /// Files that are tried after those of all dialects. Other programs have such names too, so a key must tell.
    pub(super) common_files: &'static [&'static str],
    /// The option that names files of this dialect: `--NAME FILE`.
    pub(super) option: Option<FileOption>,
    /// The syntax of its files, if that is not YAML.
    pub(in crate::config) syntax: Option<OwnSyntax>,
    /// A JSON Schema of its files.
    pub(super) schema: fn() -> Value,
    /// The gate that the files describe, if they say how to start one. The report is for this alone.
    pub(crate) describe: Option<Describe>,
    /// The labels of other programs that files of this dialect may hold beside its own.
    pub(crate) foreign: Option<ForeignLabels>,
    /// Whether its files use upstreams and sets of policies of other files, so that those are read first.
    pub(crate) uses_names: bool,
    /// Adds all files of this dialect, in the order in which they were named. Files of one set were named as one.
    pub(crate) read: fn(Vec<Vec<ConfigFile>>, &mut Source, &dyn Inputs, &mut Report),
}

/// See [`Dialect::describe`].
type Describe = fn(Vec<Vec<ConfigFile>>, &dyn Inputs, &mut Report) -> Option<DescribedGate>;

/// A syntax that is not YAML.
pub(in crate::config) struct OwnSyntax {
    /// The extension of files in it. A folder stands for those files, too.
    pub(super) suffix: &'static str,
    /// Whether a text is in it.
    pub(super) takes: fn(&Path, &str) -> bool,
    /// Parses a text. Errors go to the report.
    pub(super) parse: Parse,
    /// Whether a file is of this dialect, if keys at the top do not tell.
    pub(super) is_own: fn(&Path, &Node) -> bool,
}

/// See [`OwnSyntax::parse`].
pub(crate) type Parse = fn(&str, u32, &mut Report) -> Option<Tree>;

/// Labels of other programs, which can be written anew in a dialect.
pub(crate) struct ForeignLabels {
    /// The programs.
    pub(crate) names: &'static [&'static str],
    /// The labels of this dialect in the place of those of the program with that name, to be pasted. `None` if no file
    /// has labels of that program.
    pub(crate) adapt: Adapt,
}

/// See [`ForeignLabels::adapt`].
type Adapt = fn(&str, Vec<Vec<ConfigFile>>, &dyn Inputs, &mut Report) -> Option<String>;

impl Dialect {
    /// The files that a value of the option names, as [`FileOption::expand`].
    pub(crate) fn expand(&self, name: &Path, inputs: &dyn Inputs, report: &mut Report) -> Vec<Vec<PathBuf>> {
        self.option
            .as_ref()
            .map_or_else(|| vec![vec![name.to_owned()]], |option| (option.expand)(name, inputs, report))
    }
}

/// An option that names files of one dialect.
pub struct FileOption {
    /// The description in `--help`.
    pub about: &'static str,
    /// The variables that stand for the option. The first that is set counts.
    pub variables: &'static [&'static str],
    /// The variable that names the files of the working directory instead of their default names.
    pub default_variable: &'static str,
    /// The files that its value names, in sets that are read as one. A folder stands for the default files in it.
    /// Errors go to the report.
    pub(crate) expand: fn(&Path, &dyn Inputs, &mut Report) -> Vec<Vec<PathBuf>>,
}
