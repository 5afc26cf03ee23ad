//! Reads files into trees, and fills in the variables of their values.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::dotenv::{self, Assignment, BadLine};
use super::interpolation::{WHERE, interpolate};
use crate::config::decode::{Decoder, Filled, Notation, Text, Unfillable};
use crate::config::diagnostics::{Report, Span};
use crate::config::dialects::file::ConfigFile;
use crate::config::inputs::Inputs;
use crate::config::syntax::{Node, Value, yaml};
use crate::config::values::{ValueError, environment, substitution};

/// Files that one load may read, so that a file that includes itself under many names ends.
const FILES_MAX: usize = 1_000;

/// The error of one service, or of one route of it.
#[derive(Clone, Debug)]
pub(crate) struct LabelError {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl LabelError {
    pub(crate) fn new(span: Span, message: impl Into<String>, hint: impl Into<String>) -> LabelError {
        LabelError { span, message: message.into(), hint: hint.into() }
    }

    /// The error of an unreadable file that is named at `span`.
    pub(super) fn unreadable(span: Span, path: &Path, error: &io::Error) -> LabelError {
        let message = format!("{} cannot be read: {error}", path.display());
        LabelError::new(span, message, "the path is relative to the file it stands in")
    }
}

/// The variables from the `.env` files of a project. Those of the process come before them.
pub(super) type Variables = Rc<BTreeMap<String, String>>;

/// The context of reading compose files.
pub(crate) struct Reader<'a> {
    pub(crate) report: &'a mut Report,
    pub(crate) inputs: &'a dyn Inputs,
    /// Every file that was read, in order.
    pub(crate) files: Vec<PathBuf>,
    known: Known,
}

/// The variables of each file and its folder, by its number in the report.
type Known = HashMap<u32, (Variables, PathBuf)>;

impl<'a> Reader<'a> {
    pub(crate) fn new(report: &'a mut Report, inputs: &'a dyn Inputs) -> Reader<'a> {
        Reader { report, inputs, files: Vec::new(), known: HashMap::new() }
    }

    /// Adds a file that was read already. Its relative paths start from the folder of `first`, the first file of its
    /// project.
    pub(super) fn adopt(&mut self, file: &ConfigFile, first: &Path, variables: &Variables) {
        self.know(file.tree.root.span.file, first, variables);
        self.files.push(join(Path::new(""), &file.path));
    }

    fn know(&mut self, file: u32, path: &Path, variables: &Variables) {
        let dir = path.parent().unwrap_or(Path::new("")).to_owned();
        self.known.insert(file, (variables.clone(), dir));
    }

    /// The path in a value. A relative path starts from the folder of its file.
    pub(crate) fn path(&mut self, node: &Node) -> Result<PathBuf, LabelError> {
        let text = self.text(node)?.text;
        let dir = self.known.get(&node.span.file).map_or(Path::new(""), |(_, dir)| dir);
        Ok(join(dir, &text))
    }

    /// The text of a file. The error is half a sentence.
    pub(super) fn read(&mut self, path: &Path) -> io::Result<Arc<str>> {
        if self.files.len() >= FILES_MAX {
            return Err(io::Error::other(format!("more than {FILES_MAX} files are read")));
        }
        let text = self.inputs.read(path)?;
        self.files.push(path.to_owned());
        if text.len() > yaml::TEXT_BYTES_MAX {
            return Err(io::Error::other("it is longer than 16MiB"));
        }
        Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).into())
    }

    /// The tree of a file. `Ok(None)` if it is not YAML, which is reported.
    pub(super) fn tree(&mut self, path: &Path, variables: &Variables) -> io::Result<Option<Node>> {
        let text = self.read(path)?;
        let file = self.report.add_file(path, &text);
        self.know(file, path, variables);
        Ok(yaml::parse(&text, file, self.report).map(|tree| tree.root))
    }

    /// The variables of a `.env` file and those known before, which have priority. A missing file is no error. An
    /// invalid line is a warning.
    pub(super) fn variables(&mut self, path: &Path, before: &Variables) -> Variables {
        let text = match self.read(path) {
            Ok(text) => text,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    let message = format!("{} cannot be read: {error}", path.display());
                    self.report.warning(None, message, "its variables are taken as not set");
                }
                return before.clone();
            }
        };
        let inputs = self.inputs;
        let known = |name: &str| inputs.env(name).or_else(|| before.get(name).cloned());
        let (own, bad) = dotenv::parse(&text, &known);
        if !bad.is_empty() {
            let file = self.report.add_file(path, &text);
            // A line may hold a secret, and the message is clear without it.
            self.report.mask(Span { file, start: 0, end: text.len() as u32 });
            self.warn_of_lines(file, bad);
        }
        let mut all = (**before).clone();
        let known: Vec<String> = before.keys().cloned().collect();
        let own = own.into_iter().map(|one| (one.name, one.value));
        all.extend(own.filter(|(name, _)| !known.contains(name)));
        Rc::new(all)
    }

    /// The lines of a label file and its number in the report. Its variables are those of the file that names it
    /// at `span`. An invalid line is a warning.
    pub(super) fn labels(&mut self, path: &Path, span: Span) -> io::Result<(u32, Vec<Assignment>)> {
        let text = self.read(path)?;
        let file = self.report.add_file(path, &text);
        let variables =
            self.known.get(&span.file).map(|(variables, _)| variables.clone()).unwrap_or_default();
        self.know(file, path, &variables);
        let (all, bad) = dotenv::parse(&text, &|name| self.variable(span.file, name));
        self.warn_of_lines(file, bad);
        Ok((file, all))
    }

    fn warn_of_lines(&mut self, file: u32, bad: Vec<BadLine>) {
        for line in bad {
            let span = Span { file, start: line.start as u32, end: line.end as u32 };
            self.report.warning(Some(span), line.message, "the line is left out");
        }
    }

    /// The value of a variable in the file with that number.
    pub(crate) fn variable(&self, file: u32, name: &str) -> Option<String> {
        LabelNotation { inputs: self.inputs, known: &self.known }.variable(file, name)
    }

    /// Reads values with the decoder of all dialects, in the notation of labels.
    pub(crate) fn decode<T>(&mut self, read: impl FnOnce(&mut Decoder<'_>) -> T) -> T {
        let notation = LabelNotation { inputs: self.inputs, known: &self.known };
        read(&mut Decoder { report: self.report, notation: &notation })
    }

    /// A single value with its variables filled in. A variable that is not set is a warning.
    pub(crate) fn text(&mut self, node: &Node) -> Result<Text, LabelError> {
        let span = node.span;
        let written = match &node.value {
            Value::Scalar(text) => text,
            Value::Null => return Ok(Text::new(String::new(), span, None)),
            Value::List(_) => return Err(LabelError::new(span, "one value is needed here, not a list", "")),
            Value::Map(_) => {
                return Err(LabelError::new(span, "one value is needed here, not a mapping", ""));
            }
        };
        if !written.contains('$') {
            return Ok(Text::new(written.clone(), span, None));
        }
        let notation = LabelNotation { inputs: self.inputs, known: &self.known };
        let Filled { text, warnings } =
            notation.fill(written, span).map_err(|(message, hint)| LabelError::new(span, message, hint))?;
        for (message, hint) in warnings {
            self.report.warning(Some(span), message, hint);
        }
        Ok(Text::new(text, span, Some(written.clone())))
    }

    /// The value of a node, without reporting errors.
    pub(crate) fn lenient(&self, node: &Node) -> String {
        match &node.value {
            Value::Scalar(text) => interpolate(text, &|name| self.variable(node.span.file, name))
                .map_or_else(|_| text.clone(), |filled| filled.text),
            _ => String::new(),
        }
    }

    /// One value or a list of them.
    pub(super) fn texts(&mut self, node: &Node) -> Result<Vec<Text>, LabelError> {
        match &node.value {
            Value::Null => Ok(Vec::new()),
            Value::List(items) => items.iter().map(|item| self.text(item)).collect(),
            _ => Ok(vec![self.text(node)?]),
        }
    }
}

/// Variables as in a compose file, the words of YAML for yes and no, and commas between the items of a list.
struct LabelNotation<'a> {
    inputs: &'a dyn Inputs,
    known: &'a Known,
}

impl LabelNotation<'_> {
    /// The value of a variable in the file with that number. The environment comes before `.env`.
    fn variable(&self, file: u32, name: &str) -> Option<String> {
        let own = || self.known.get(&file)?.0.get(name).cloned();
        self.inputs.env(name).or_else(own)
    }
}

impl Notation for LabelNotation<'_> {
    fn fill(&self, written: &str, span: Span) -> Result<Filled, Unfillable> {
        // The text of a file that a label names, as the keys of tokens. Compose itself has no such text.
        if written.starts_with("${file:") && written.ends_with('}') {
            let text = substitution::expand(written, self.dir(span), self.inputs)
                .map_err(|(message, hint)| (message, hint.unwrap_or_default()))?;
            return Ok(Filled { text, warnings: Vec::new() });
        }
        let filled = interpolate(written, &|name| self.variable(span.file, name))
            .map_err(|(message, hint)| (message, hint.to_owned()))?;
        let unset = |name: String| (format!("the variable `{name}` is not set: it is empty here"), WHERE);
        Ok(Filled { text: filled.text, warnings: filled.unset.into_iter().map(unset).collect() })
    }

    fn dir(&self, span: Span) -> &Path {
        self.known.get(&span.file).map_or(Path::new(""), |(_, dir)| dir)
    }

    fn flag(&self) -> fn(&str) -> Result<bool, ValueError> {
        environment::flag
    }

    fn separator(&self) -> Option<char> {
        Some(',')
    }
}

/// The variables of a text in the form of `.env`, in written order. Wrong lines are left out.
pub(crate) fn parse_dotenv(
    text: &str,
    known: &dyn Fn(&str) -> Option<String>,
) -> impl DoubleEndedIterator<Item = (String, String)> + use<> {
    dotenv::parse(text, known).0.into_iter().map(|one| (one.name, one.value))
}

/// A variable of the environment, else of the file `.env` in a folder.
pub(crate) fn dotenv_variable(inputs: &dyn Inputs, dir: &Path, name: &str) -> Option<String> {
    let own = || {
        let text = inputs.read(&dir.join(".env")).ok()?;
        let mut all = parse_dotenv(&text, &|name| inputs.env(name));
        all.rfind(|(known, _)| known == name).map(|(_, value)| value)
    };
    inputs.env(name).or_else(own)
}

/// `path` from the folder `dir`, without `.` and with as few `..` as possible.
pub(crate) fn join(dir: &Path, path: impl AsRef<Path>) -> PathBuf {
    let mut parts: Vec<Component<'_>> = Vec::new();
    let joined = dir.join(path);
    for part in joined.components() {
        match (part, parts.last()) {
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_in_one_spelling() {
        for (dir, path, expected) in [
            ("", "./a.yaml", "a.yaml"),
            ("x/y", "../a.yaml", "x/a.yaml"),
            ("x", "../../a.yaml", "../a.yaml"),
            ("x", "/etc/./a.yaml", "/etc/a.yaml"),
            ("./x", "b//a.yaml", "x/b/a.yaml"),
        ] {
            assert_eq!(join(Path::new(dir), path), Path::new(expected), "{dir} {path}");
        }
    }
}
