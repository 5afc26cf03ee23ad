//! The files of a configuration: a root file, files of one service each, and files of routes.
//!
//! A service may be the path of a file or a folder, and a route the path of a file of routes. Such files name no
//! further ones, so a loop cannot exist. A file may be used more than once.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::json5;
use super::keys::{names, open, open_both};
use super::schema::{FILE, SERVICE};
use crate::config::decode::Decoder;
use crate::config::diagnostics::{Report, Span, Spanned, quoted};
use crate::config::dialects::file::ConfigFile;
use crate::config::dialects::plain::PlainNotation;
use crate::config::inputs::Inputs;
use crate::config::syntax::yaml::TEXT_BYTES_MAX;
use crate::config::syntax::{Node, Value};

/// Files of one load at most.
const FILES_MAX: usize = 10_000;

/// A name and its value.
pub(super) type Named = (Spanned<String>, Node);

/// Everything that all files hold.
#[derive(Default)]
pub(super) struct Project {
    pub(super) services: Vec<ServiceFile>,
    pub(super) plugins: Vec<Named>,
    pub(super) actions: Vec<Named>,
    pub(super) resources: Vec<Named>,
    pub(super) logging: Option<Node>,
    pub(super) admin: Option<Node>,
    /// Every file that was read, in order.
    pub(super) files: Vec<PathBuf>,
    /// The place of the first file.
    pub(super) span: Option<Span>,
}

/// A service, and the folder of its file.
pub(super) struct ServiceFile {
    pub(super) name: Spanned<String>,
    pub(super) node: Node,
    pub(super) dir: PathBuf,
}

/// Keys of a file that are no keys of a service, or others than those of the service.
const OF_FRAGMENT: [&str; 4] = ["plugins", "actions", "resources", "service_plugins"];

/// Reads everything that the files name.
pub(super) fn collect(files: Vec<ConfigFile>, inputs: &dyn Inputs, report: &mut Report) -> Project {
    let notation = PlainNotation { inputs, dir: Path::new("") };
    let mut collector = Collector { inputs, notation, report, project: Project::default() };
    for ConfigFile { path, tree } in files {
        collector.project.span.get_or_insert(tree.root.span);
        collector.project.files.push(path.clone());
        let is_service = tree.root.get("services").is_none()
            && ["listen", "routes"].iter().any(|key| tree.root.get(key).is_some());
        if is_service {
            let name = Spanned { value: stem(&path), span: tree.root.span };
            collector.fragment(name, tree.root, dir(&path));
        } else {
            collector.root(tree.root, &dir(&path));
        }
    }
    collector.project
}

fn dir(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

/// The name of a service whose file has this path.
fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

struct Collector<'c> {
    inputs: &'c dyn Inputs,
    notation: PlainNotation<'c>,
    report: &'c mut Report,
    project: Project,
}

impl Collector<'_> {
    fn root(&mut self, node: Node, dir: &Path) {
        let mut decoder = Decoder { report: self.report, notation: &self.notation };
        let Some(mut fields) = open(&mut decoder, node, FILE) else { return };
        let mut raw = |name| fields.field(name, |_, node| Some(node));
        let [services, plugins, actions, resources, logging, admin] =
            ["services", "plugins", "actions", "resources", "logging", "admin"].map(&mut raw);
        raw("service_plugins");
        fields.close();
        let services = services.map(|node| names(&mut decoder, node, "`services`"));
        self.pools([plugins, actions, resources]);
        self.project.logging = self.project.logging.take().or(logging);
        self.project.admin = self.project.admin.take().or(admin);
        for (name, node) in services.into_iter().flatten() {
            match &node.value {
                Value::Scalar(path) => self.named(name, &joined(dir, path), node.span),
                _ => self.service(name, node, dir.to_owned()),
            }
        }
    }

    /// Adds to the pools of all files: plugins, actions, resources.
    fn pools(&mut self, nodes: [Option<Node>; 3]) {
        let mut decoder = Decoder { report: self.report, notation: &self.notation };
        let Project { plugins, actions, resources, .. } = &mut self.project;
        let pools = [("plugin", plugins), ("action", actions), ("resource", resources)];
        for (node, (what, pool)) in nodes.into_iter().zip(pools) {
            let Some(node) = node else { continue };
            for (name, node) in names(&mut decoder, node, &format!("`{what}s`")) {
                match pool.iter().find(|(known, _)| known.value == name.value) {
                    Some((first, _)) => {
                        let first = decoder.report.place(first.span);
                        let message = format!("duplicate {what} {}", quoted(&name.value));
                        decoder.report.error_hint(name.span, message, format!("first at {first}"));
                    }
                    None => pool.push((name, node)),
                }
            }
        }
    }

    /// A service that is the path of a file, or of a folder with one file for each service.
    fn named(&mut self, name: Spanned<String>, path: &Path, at: Span) {
        if !self.inputs.is_dir(path) {
            if let Some(node) = self.read(path, at) {
                self.fragment(name, node, dir(path));
            }
            return;
        }
        let entries = match self.inputs.list(path) {
            Ok(entries) => entries,
            Err(error) => {
                let message = format!("the folder {} cannot be read: {error}", path.display());
                return self.report.error(at, message);
            }
        };
        let is_one = |path: &PathBuf| {
            path.extension().is_some_and(|name| name == "json5") && !self.inputs.is_dir(path)
        };
        let files: Vec<PathBuf> = entries.into_iter().filter(is_one).collect();
        if files.is_empty() {
            self.report.error(at, format!("the folder {} holds no *.json5", path.display()));
        }
        for file in files {
            if let Some(node) = self.read(&file, at) {
                self.fragment(Spanned { value: stem(&file), span: node.span }, node, dir(&file));
            }
        }
    }

    /// A file that a value at `at` names.
    fn read(&mut self, path: &Path, at: Span) -> Option<Node> {
        if self.project.files.len() >= FILES_MAX {
            self.report.error(at, format!("these are more than {FILES_MAX} files"));
            return None;
        }
        let text: Arc<str> = match self.inputs.read(path) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(&text).into(),
            Err(error) => {
                let message = format!("{} cannot be read: {error}", path.display());
                self.report.error_hint(at, message, "a path here starts from the folder of this file");
                return None;
            }
        };
        if text.len() > TEXT_BYTES_MAX {
            self.report.error(at, format!("{} is longer than 16MiB", path.display()));
            return None;
        }
        self.project.files.push(path.to_owned());
        let file = self.report.add_file(path, &text);
        json5::parse(&text, file, self.report).map(|tree| tree.root)
    }

    /// A file that is one service. It may add to the pools of all files.
    fn fragment(&mut self, name: Spanned<String>, node: Node, dir: PathBuf) {
        let span = node.span;
        let mut decoder = Decoder { report: self.report, notation: &self.notation };
        let Some(mut fields) = open_both(&mut decoder, node, [FILE, SERVICE]) else { return };
        for key in ["services", "logging", "admin"] {
            let Some(at) = fields.at(key) else { continue };
            let message = format!("`{key}` has no effect in the file of a service");
            fields.decoder.report.warning(Some(at), message, "write it in the root file");
            fields.field(key, |_, _| Some(()));
        }
        let mut raw = |name| {
            let at = fields.at(name)?;
            Some((at, fields.field(name, |_, node| Some(node))?))
        };
        let [plugins, actions, resources, own] = OF_FRAGMENT.map(&mut raw);
        let keys =
            ["listen", "tls", "tls_cert", "tls_key", "acme", "h2", "config", "routes", "trusted_proxies"];
        let of_service = keys.map(|key| (key, raw(key)));
        fields.close();
        self.pools([plugins, actions, resources].map(|pool| pool.map(|(_, node)| node)));
        let entries = of_service.into_iter().chain([("plugins", own)]);
        let entries = entries.filter_map(|(key, found)| {
            let (span, node) = found?;
            Some((Spanned { value: key.to_owned(), span }, node))
        });
        let node = Node::new(span, Value::Map(entries.collect()));
        self.service(name, node, dir);
    }

    /// A service, with the routes of the files that it names in their place.
    fn service(&mut self, name: Spanned<String>, mut node: Node, dir: PathBuf) {
        if let Some(first) = self.project.services.iter().find(|known| known.name.value == name.value) {
            let first = self.report.place(first.name.span);
            let message = format!("duplicate service {}", quoted(&name.value));
            return self.report.error_hint(name.span, message, format!("first at {first}"));
        }
        if let Value::Map(entries) = &mut node.value {
            let routes = entries.iter_mut().filter(|(key, _)| key.value.eq_ignore_ascii_case("routes"));
            for (_, routes) in routes {
                if let Value::List(items) = &mut routes.value {
                    *items = self.spliced(std::mem::take(items), &dir);
                }
            }
        }
        self.project.services.push(ServiceFile { name, node, dir });
    }

    fn spliced(&mut self, items: Vec<Node>, dir: &Path) -> Vec<Node> {
        let mut routes = Vec::with_capacity(items.len());
        for item in items {
            match &item.value {
                Value::Scalar(path) => routes.extend(self.include(&joined(dir, path), item.span)),
                _ => routes.push(item),
            }
        }
        routes
    }

    /// The routes of a file: a list, or an object with `routes`.
    fn include(&mut self, path: &Path, at: Span) -> Vec<Node> {
        let Some(node) = self.read(path, at) else { return Vec::new() };
        let span = node.span;
        let list = match node.value {
            Value::List(_) => Some(node),
            Value::Map(entries) => {
                let is_it = |key: &Spanned<String>| key.value.eq_ignore_ascii_case("routes");
                entries.into_iter().find(|(key, _)| is_it(key)).map(|(_, node)| node)
            }
            _ => None,
        };
        let Some(Value::List(routes)) = list.map(|list| list.value) else {
            self.report.error_hint(
                span,
                "this file has no routes",
                "write `[{ match: {...}, action: \"...\" }]`",
            );
            return Vec::new();
        };
        let named = routes.iter().find(|route| matches!(route.value, Value::Scalar(_)));
        if let Some(named) = named {
            let hint = "name it where this file is named";
            self.report.error_hint(named.span, "a file of routes cannot name another one", hint);
            return Vec::new();
        }
        routes
    }
}

/// A path from a folder, without `..` where a folder stands before it.
fn joined(dir: &Path, path: &str) -> PathBuf {
    let mut all = PathBuf::new();
    for part in dir.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(all.components().next_back(), Some(Component::Normal(_))) => {
                all.pop();
            }
            part => all.push(part),
        }
    }
    all
}
