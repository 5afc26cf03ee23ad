//! From compose files to what two listeners are to do, one in the clear and one under TLS.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::conflicts;
use super::network::Map;
use super::project::{self, Project};
use super::reader::{Reader, join};
use super::routes::{self, Route};
use super::rules::{self, Side};
use crate::config::inputs::Inputs;
use crate::config::plan::Bind;
use crate::config::report::{Report, Spot};
use crate::config::settings::{self, Variable};
use crate::config::source::RuleSource;
use crate::config::target;
use crate::config::yaml::Node;

/// One compose file to read.
pub(crate) struct ComposeFile {
    pub(crate) path: PathBuf,
    /// Its tree, when somebody had to look into it already.
    pub(crate) root: Option<Node>,
}

/// What all compose files together ask for.
pub(crate) struct ComposeSource {
    /// Where the first of them starts.
    pub(crate) spot: Spot,
    /// `*_HTTP_PORT`, when it is set.
    pub(crate) http_port: Option<Bind>,
    /// The same of HTTPS.
    pub(crate) https: Https,
    /// In written order.
    routes: Vec<Route>,
    /// Services that are not served as they ask to be.
    pub(crate) rejected: usize,
}

/// What the environment says of HTTPS.
pub(crate) struct Https {
    /// `*_HTTPS_ENABLED`: the gate ends TLS for every route that does not ask for `passthrough`.
    pub(crate) enabled: bool,
    /// `*_HTTPS_PORT`, when it is set.
    pub(crate) port: Option<Bind>,
    /// `*_ACME_DIR`: where certificates are.
    pub(crate) certificates: PathBuf,
}

impl Https {
    /// The port that redirects lead to.
    pub(crate) fn port_of_redirects(&self) -> u16 {
        self.port.map(Bind::port).filter(|port| *port != 0).unwrap_or(443)
    }
}

impl ComposeSource {
    /// The rules of one listener, in the order in which they are to be tried. `https`: TLS is ended for
    /// the routes that do not ask for `passthrough`; redirects lead to `https` then.
    pub(crate) fn rules(&self, side: Side, https: bool) -> Vec<RuleSource> {
        rules::of(&self.routes, side, https, self.https.port_of_redirects())
    }
}

/// Whether a tree is a compose file and no configuration of our own: its keys tell.
pub(crate) fn is_compose(root: &Node) -> bool {
    root.get("services").is_some() || root.get("include").is_some()
}

/// Reads all of them. Every file that was read goes to `files`. `None`: none can be read at all.
pub(crate) fn read(
    written: Vec<ComposeFile>,
    files: &mut Vec<PathBuf>,
    inputs: &dyn Inputs,
    report: &mut Report,
) -> Option<ComposeSource> {
    let mut reader = Reader::new(report, inputs);
    let read = |file: ComposeFile| project::read(&mut reader, &file.path, file.root);
    let projects: Vec<Project> = written.into_iter().filter_map(read).collect();
    let spot = projects.first()?.spot;
    let https = https(&mut reader);
    let map = Map::new(&reader, &projects);
    let mut all: Vec<Route> = Vec::new();
    let mut rejected = HashSet::new();
    for (index, project) in projects.iter().enumerate() {
        let (before, bad) = (all.len(), rejected.len());
        for (number, service) in project.services.iter().enumerate() {
            let (routes, is_rejected) = routes::of(&mut reader, &map, (index, number), service);
            all.extend(routes);
            rejected.extend(is_rejected.then_some((index, number)));
        }
        if all.len() == before && bad == rejected.len() && (projects.len() == 1 || !map.runs_gate(index)) {
            let message = "no service here has a label `smolgate.host`: nothing is routed";
            let hint = "add `labels: { smolgate.host: NAME, smolgate.port: PORT }` to one";
            reader.report.warning(Some(project.spot), message, hint);
        }
    }
    rejected.extend(conflicts::reject(&mut all, reader.report));
    let http_port = port(&mut reader, "HTTP_PORT");
    files.append(&mut reader.files);
    Some(ComposeSource { spot, http_port, https, routes: all, rejected: rejected.len() })
}

fn https(reader: &mut Reader<'_>) -> Https {
    let enabled = settings::variable(reader.inputs, "HTTPS_ENABLED").is_some_and(|variable| {
        let Variable { name, value } = variable;
        settings::flag(value.trim()).unwrap_or_else(|wrong| {
            reader.report.error_nowhere(format!("the value of {name} {}", wrong.problem), wrong.hint);
            false
        })
    });
    let dir = settings::variable(reader.inputs, "ACME_DIR");
    let certificates = join(Path::new(""), dir.as_ref().map_or(CERTIFICATES, |dir| dir.value.trim()));
    if let Some(Variable { name, .. }) = settings::variable(reader.inputs, "ACME_EMAIL").filter(|_| enabled) {
        let message = format!("{name} is set, and this version gets no certificates by itself");
        let hint = format!("put NAME.crt and NAME.key into {}", certificates.display());
        reader.report.warning(None, message, hint);
    }
    Https { enabled, port: port(reader, "HTTPS_PORT"), certificates }
}

/// Where certificates are when nobody says it, from where the gate was started.
const CERTIFICATES: &str = "./certs";

/// A variable that is an address to listen on.
fn port(reader: &mut Reader<'_>, name: &str) -> Option<Bind> {
    let Variable { name, value } = settings::variable(reader.inputs, name)?;
    target::bind(value.trim())
        .map_err(|wrong| {
            reader.report.error_nowhere(format!("the value of {name} {}", wrong.problem), wrong.hint);
        })
        .ok()
}
