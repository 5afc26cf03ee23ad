//! The service that runs the gate: how it is known, and the environment that it will have.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::labels::PREFIXES;
use super::project::{Project, Reader, Service, join, pairs, parse_dotenv};
use crate::config::described::DescribedGate;
use crate::config::diagnostics::quoted;
use crate::config::syntax::{Node, Value};

/// Prefixes of the variables of a gate.
const VARIABLES: [&str; 2] = ["SMOLGATE_", "LITEPROXY_"];

/// Names of variables without such a prefix.
const OTHER_VARIABLES: [&str; 2] = [CONFIG_FILE, "INTERNAL_API_PORT"];
const CONFIG_FILE: &str = "CONFIG_FILE";

/// Variables with paths of files, behind the prefix.
const FILES: [&str; 2] = ["COMPOSE_FILE", "ACCESS_LOG"];
/// Values of those that are no paths.
const NO_PATHS: [&str; 3] = ["stdout", "off", "false"];
/// The variable with the folder of certificates, behind the prefix, and its default in a container.
const CERTIFICATES: (&str, &str) = ("ACME_DIR", "/certs");

/// Whether a service runs the gate. Its image, its name or its variables tell that, unless its command is another
/// verb.
pub(super) fn is_gate(reader: &Reader<'_>, service: &Service) -> bool {
    let ours = |text: &str| PREFIXES.iter().any(|prefix| text.contains(prefix));
    let image = service.node.get("image").map(|image| reader.lenient(image)).unwrap_or_default();
    let image = image.rsplit('/').next().unwrap_or_default();
    let variables = service.node.get("environment").map(pairs).unwrap_or_default();
    let set = variables.iter().any(|(name, _)| has_prefix(&name.value));
    let verb = match service.node.get("command").map(|node| (&node.value, node)) {
        Some((Value::List(words), _)) => words.iter().map(|word| reader.lenient(word)).collect(),
        Some((_, node)) => reader.lenient(node).split_whitespace().map(str::to_owned).collect(),
        None => Vec::new(),
    };
    let verb = verb.iter().find(|word| !ours(word.rsplit('/').next().unwrap_or_default()));
    let runs = verb.is_none_or(|verb| verb == "run" || verb.starts_with('-'));
    runs && (ours(image) || PREFIXES.contains(&service.name.value.as_str()) || set)
}

fn has_prefix(name: &str) -> bool {
    VARIABLES.iter().any(|prefix| name.starts_with(prefix))
}

/// The gate that a service will run. `None` if the service sets no variable of a gate, or if this process has one
/// of them: then this is the environment of the gate already.
pub(super) fn describe(
    reader: &mut Reader<'_>,
    project: &Project,
    service: &Service,
) -> Option<DescribedGate> {
    let mut variables = variables(reader, service);
    let is_ours = |name: &str| has_prefix(name) || OTHER_VARIABLES.contains(&name);
    let written: Vec<String> = variables.keys().filter(|name| is_ours(name)).cloned().collect();
    if written.is_empty() || written.iter().any(|name| reader.inputs.env(name).is_some()) {
        return None;
    }
    let mounts = Mounts::of(reader, project, service);
    let mut elsewhere = Vec::new();
    let files = VARIABLES.iter().flat_map(|prefix| FILES.map(|name| format!("{prefix}{name}")));
    for name in files.chain([CONFIG_FILE.to_owned()]) {
        let value = variables.get(&name).filter(|value| !NO_PATHS.contains(&value.as_str()));
        // A file that is not here cannot be used. Then it is as if the gate did not name it.
        match value.map(|value| mounts.here_all(value)) {
            Some(Some(here)) => variables.insert(name, here),
            Some(None) => variables.remove(&name),
            None => None,
        };
    }
    let names = VARIABLES.map(|prefix| format!("{prefix}{}", CERTIFICATES.0));
    let name = names.iter().find(|name| variables.contains_key(*name)).unwrap_or(&names[0]);
    let path = variables.get(name).map_or(CERTIFICATES.1, String::as_str);
    let here = mounts.here(path).unwrap_or_else(|| {
        elsewhere.push(PathBuf::from(path));
        PathBuf::from(path)
    });
    variables.insert(name.clone(), here.display().to_string());
    let place = reader.report.origin(service.name.span);
    let name = format!("the service {} ({place})", quoted(&service.name.value));
    Some(DescribedGate { name, variables, written, elsewhere })
}

/// The variables of a service. Those of `environment` come before those of `env_file`.
fn variables(reader: &mut Reader<'_>, service: &Service) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let files = match service.node.get("env_file") {
        Some(Node { value: Value::List(files), .. }) => files.clone(),
        Some(file) => vec![file.clone()],
        None => Vec::new(),
    };
    for file in &files {
        let path = match file.get("path") {
            Some(path) => reader.path(path),
            None => reader.path(file),
        };
        let text = path.ok().and_then(|path| reader.inputs.read(&path).ok()).unwrap_or_default();
        all.extend(parse_dotenv(&text, &|name| reader.variable(file.span.file, name)));
    }
    for (name, node) in service.node.get("environment").map(pairs).unwrap_or_default() {
        // A name without a value passes a variable on.
        let value = match node.value {
            Value::Null => reader.variable(node.span.file, &name.value),
            _ => Some(reader.lenient(&node)),
        };
        all.extend(value.map(|value| (name.value, value)));
    }
    all
}

/// Folders and files of this machine that a container has.
struct Mounts(Vec<(PathBuf, PathBuf)>);

impl Mounts {
    /// The mounts of a service: the path here, and the path there.
    fn of(reader: &Reader<'_>, project: &Project, service: &Service) -> Mounts {
        let Some(Value::List(volumes)) = service.node.get("volumes").map(|node| &node.value) else {
            return Mounts(Vec::new());
        };
        let text = |node: &Node, key: &str| node.get(key).map(|node| reader.lenient(node));
        let mount = |node: &Node| match &node.value {
            Value::Map(_) => Some((text(node, "source")?, text(node, "target")?)),
            _ => {
                let written = reader.lenient(node);
                let (source, rest) = written.split_once(':')?;
                Some((source.to_owned(), rest.split(':').next()?.to_owned()))
            }
        };
        // Any other source is the name of a volume.
        let is_path = |source: &str| source.starts_with(['.', '/']);
        let mounts = volumes.iter().filter_map(mount).filter(|(source, _)| is_path(source));
        Mounts(mounts.map(|(source, target)| (join(&project.dir, source), PathBuf::from(target))).collect())
    }

    /// A path of the container as a path here.
    fn here(&self, path: &str) -> Option<PathBuf> {
        let path = join(Path::new("/"), path);
        let under = self.0.iter().filter(|(_, target)| path.starts_with(target));
        let (source, target) = under.max_by_key(|(_, target)| target.components().count())?;
        Some(join(source, path.strip_prefix(target).ok()?))
    }

    /// A list of paths. `None` if one of them is not here.
    fn here_all(&self, list: &str) -> Option<String> {
        let paths = list.split(':').map(|path| Some(self.here(path.trim())?.display().to_string()));
        Some(paths.collect::<Option<Vec<String>>>()?.join(":"))
    }
}
