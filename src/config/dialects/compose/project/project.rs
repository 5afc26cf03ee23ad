//! Reads a project into one list of services, from its files, its includes, extended services, and
//! active profiles.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::label_file;
use super::merge::merge;
use super::reader::{LabelError, Reader, Variables, join};
use super::scope::{Scope, included_variables};
use crate::config::diagnostics::{Span, Spanned, did_you_mean, quoted};
use crate::config::dialects::file::ConfigFile;
use crate::config::syntax::{Node, Value};

/// Services in a chain of `extends`.
const EXTENDS_MAX: usize = 64;

/// Files in a chain of `include`.
const INCLUDES_MAX: usize = 32;

/// One compose project.
pub(crate) struct Project {
    /// The folder of its first file.
    pub(crate) dir: PathBuf,
    /// The prefix of the names of its networks. Files with one project name share them.
    pub(crate) name: String,
    /// The place where its first file starts.
    pub(crate) span: Span,
    /// The entries of `networks:`. Those of included files come last.
    pub(crate) networks: Vec<(Spanned<String>, Node)>,
    /// The services of active profiles, in written order.
    pub(crate) services: Vec<Service>,
}

/// A service with everything merged into it.
pub(crate) struct Service {
    pub(crate) name: Spanned<String>,
    /// The merged tree. If `broken` is set, only its own part.
    pub(crate) node: Node,
    /// The error that kept the merge from being complete.
    pub(crate) broken: Option<LabelError>,
}

/// Reads a project from its files, of which each later one is merged into those before it. `None` if there is no
/// file. Relative paths and `.env` belong to the folder of the first file.
pub(crate) fn read(reader: &mut Reader<'_>, files: Vec<ConfigFile>) -> Option<Project> {
    let path = join(Path::new(""), &files.first()?.path);
    let dir = path.parent().unwrap_or(Path::new(""));
    let variables = reader.variables(&dir.join(".env"), &Variables::default());
    let span = files.first()?.tree.root.span;
    let roots = files.into_iter().map(|file| {
        reader.adopt(&file, &path, &variables);
        file.tree.root
    });
    let root = roots.reduce(merge)?;
    let name = root.get("name").map(|name| reader.lenient(name)).filter(|name| !name.is_empty());
    let name =
        name.or_else(|| reader.variable(span.file, "COMPOSE_PROJECT_NAME").filter(|name| !name.is_empty()));
    let name = name.unwrap_or_else(|| project_name(dir));
    let mut walk = ProjectReader {
        project: Project { dir: dir.to_owned(), name, span, networks: Vec::new(), services: Vec::new() },
        extended: HashMap::new(),
        included: HashSet::new(),
        services: BTreeMap::new(),
    };
    let mut including = vec![path.clone()];
    walk.collect(reader, Scope { path, root: Rc::new(root), variables }, &mut including);
    let mut project = walk.project;
    let profiles = reader.variable(span.file, "COMPOSE_PROFILES").unwrap_or_default();
    let profiles: Vec<&str> = profiles.split(',').map(str::trim).collect();
    project.services.retain(|service| is_active(reader, service, &profiles));
    Some(project)
}

/// The name that `docker compose` gives a project without a name: that of its folder. A folder without a name here
/// gives its path, because the name only has to differ from those of other projects.
fn project_name(dir: &Path) -> String {
    let name = dir.file_name().map_or_else(|| dir.to_string_lossy(), |name| name.to_string_lossy());
    name.to_lowercase().chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect()
}

fn is_active(reader: &mut Reader<'_>, service: &Service, active: &[&str]) -> bool {
    let Some(profiles) = service.node.get("profiles") else { return true };
    let own: Vec<String> = match &profiles.value {
        Value::List(items) => items.iter().map(|item| reader.lenient(item)).collect(),
        _ => Vec::new(),
    };
    own.is_empty() || active.contains(&"*") || own.iter().any(|profile| active.contains(&profile.as_str()))
}

/// A project while it is read.
struct ProjectReader {
    project: Project,
    /// Files with extended services, each read once.
    extended: HashMap<PathBuf, Option<Rc<Node>>>,
    /// Files that were included. A second time would add nothing.
    included: HashSet<PathBuf>,
    /// The first place of each service.
    services: BTreeMap<String, Span>,
}

impl ProjectReader {
    /// Adds the services and networks of one file, then those of its includes.
    fn collect(&mut self, reader: &mut Reader<'_>, scope: Scope, including: &mut Vec<PathBuf>) {
        match &scope.root.value {
            Value::Map(_) | Value::Null => {}
            _ => {
                let hint = "write `services:` and the services below it";
                return reader.report.error_hint(scope.root.span, "a compose file is a mapping", hint);
            }
        }
        if let Some(Value::Map(networks)) = scope.root.get("networks").map(|node| &node.value) {
            for (key, node) in networks {
                if !self.project.networks.iter().any(|(known, _)| known.value == key.value) {
                    self.project.networks.push((key.clone(), node.clone()));
                }
            }
        }
        match scope.root.get("services").map(|node| (&node.value, node.span)) {
            None | Some((Value::Null, _)) => {}
            Some((Value::Map(services), _)) => {
                for (name, node) in services {
                    self.service(reader, &scope, name, node);
                }
            }
            Some((_, span)) => {
                reader.report.error_hint(
                    span,
                    "`services` is a mapping of names",
                    "write `name:` and what it is below",
                );
            }
        }
        self.includes(reader, &scope, including);
    }

    fn service(&mut self, reader: &mut Reader<'_>, scope: &Scope, name: &Spanned<String>, node: &Node) {
        if let Some(first) = self.services.get(&name.value) {
            let hint = format!("first at {}", reader.report.place(*first));
            let message = format!("the service {} is written twice, in two files", quoted(&name.value));
            return reader.report.error_hint(name.span, message, hint);
        }
        self.services.insert(name.value.clone(), name.span);
        let mut row = vec![(scope.path.clone(), name.value.clone())];
        let (node, broken) = match self.with_base(reader, scope, node, &mut row) {
            Ok(node) => label_file::merge_label_files(reader, node),
            Err(fault) => (node.clone(), Some(fault)),
        };
        self.project.services.push(Service { name: name.clone(), node, broken });
    }

    /// Merges a service into the one that it extends, which may extend another. `row` is the chain so far, by file
    /// and name.
    fn with_base(
        &mut self,
        reader: &mut Reader<'_>,
        scope: &Scope,
        node: &Node,
        row: &mut Vec<(PathBuf, String)>,
    ) -> Result<Node, LabelError> {
        let Some(extends) = node.get("extends").filter(|node| !matches!(node.value, Value::Null)) else {
            return Ok(node.clone());
        };
        let span = extends.span;
        let (name, file) = match &extends.value {
            Value::Map(_) => {
                let missing =
                    || LabelError::new(span, "`extends` does not say which service", "add `service: name`");
                (extends.get("service").ok_or_else(missing)?, extends.get("file"))
            }
            _ => (extends, None),
        };
        let at = name.span;
        let name = reader.text(name)?.text;
        let other = match file {
            Some(file) => Some(self.file_to_extend(reader, scope, file)?),
            None => None,
        };
        let scope = other.as_ref().unwrap_or(scope);
        let step = (scope.path.clone(), name.clone());
        if row.contains(&step) {
            return Err(LabelError::new(
                span,
                "services extend each other in a circle",
                "let one of them stand alone",
            ));
        }
        if row.len() >= EXTENDS_MAX {
            return Err(LabelError::new(
                span,
                format!("more than {EXTENDS_MAX} services extend one another"),
                "",
            ));
        }
        row.push(step);
        let Some(base) = scope.root.get("services").and_then(|services| services.get(&name)) else {
            let message = format!("there is no service {} in {}", quoted(&name), scope.path.display());
            let hint = did_you_mean(&name, names_of_services(&scope.root))
                .map(|near| format!("did you mean `{near}`?"));
            return Err(LabelError::new(at, message, hint.unwrap_or_default()));
        };
        let base = self.with_base(reader, scope, base, row)?;
        Ok(merge(base, node.clone()))
    }

    fn file_to_extend(
        &mut self,
        reader: &mut Reader<'_>,
        scope: &Scope,
        file: &Node,
    ) -> Result<Scope, LabelError> {
        let path = scope.other(&reader.text(file)?)?;
        let root = match self.extended.get(&path) {
            Some(root) => root.clone(),
            None => {
                let root = reader.tree(&path, &scope.variables);
                let root = root.map_err(|error| LabelError::unreadable(file.span, &path, &error))?;
                let root = root.map(Rc::new);
                self.extended.insert(path.clone(), root.clone());
                root
            }
        };
        let root =
            root.ok_or_else(|| LabelError::new(file.span, format!("{} is not YAML", path.display()), ""))?;
        Ok(Scope { path, root, variables: scope.variables.clone() })
    }

    fn includes(&mut self, reader: &mut Reader<'_>, scope: &Scope, including: &mut Vec<PathBuf>) {
        let entries = match scope.root.get("include").map(|node| (&node.value, node.span)) {
            None | Some((Value::Null, _)) => return,
            Some((Value::List(entries), _)) => entries.clone(),
            Some((_, span)) => {
                return reader.report.error_hint(
                    span,
                    "`include` is a list of files",
                    "start each of them with `- `",
                );
            }
        };
        for entry in &entries {
            let depth = including.len();
            if let Err(fault) = self.include(reader, scope, entry, including) {
                reader.report.error_hint(fault.span, fault.message, fault.hint);
            }
            including.truncate(depth);
        }
    }

    /// `- path`, or `- {path, project_directory, env_file}`. `path` and `env_file` may be lists.
    fn include(
        &mut self,
        reader: &mut Reader<'_>,
        scope: &Scope,
        entry: &Node,
        including: &mut Vec<PathBuf>,
    ) -> Result<(), LabelError> {
        let paths = match &entry.value {
            Value::Map(_) => entry.get("path").ok_or_else(|| {
                LabelError::new(entry.span, "this does not say which file", "add `path: FILE`")
            })?,
            _ => entry,
        };
        let paths = reader.texts(paths)?;
        let Some(first) = paths.first() else {
            return Err(LabelError::new(
                entry.span,
                "this does not say which file",
                "write the path of a compose file",
            ));
        };
        let path = scope.other(first)?;
        if !including.contains(&path) && !self.included.insert(path.clone()) {
            return Ok(());
        }
        if including.len() >= INCLUDES_MAX {
            let message = format!("more than {INCLUDES_MAX} files include one another");
            return Err(LabelError::new(entry.span, message, ""));
        }
        let variables = included_variables(reader, scope, entry, &path)?;
        let mut root: Option<Node> = None;
        for text in &paths {
            let path = scope.other(text)?;
            if including.contains(&path) {
                let message = format!("{} includes itself", path.display());
                return Err(LabelError::new(
                    text.span,
                    message,
                    "files cannot include each other in a circle",
                ));
            }
            let tree = reader
                .tree(&path, &variables)
                .map_err(|error| LabelError::unreadable(text.span, &path, &error))?;
            let Some(tree) = tree else { return Ok(()) };
            root = Some(match root {
                Some(root) => merge(root, tree),
                None => tree,
            });
            including.push(path);
        }
        if let Some(root) = root {
            self.collect(reader, Scope { path, root: Rc::new(root), variables }, including);
        }
        Ok(())
    }
}

fn names_of_services(root: &Node) -> impl Iterator<Item = &str> {
    let entries = match root.get("services").map(|services| &services.value) {
        Some(Value::Map(entries)) => entries.as_slice(),
        _ => &[],
    };
    entries.iter().map(|(name, _)| name.value.as_str())
}
