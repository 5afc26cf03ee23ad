//! From compose files to the rules of one listener.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::network::Map;
use super::project::{self, Project};
use super::reader::Reader;
use super::routes::{self, Leads, Route};
use crate::config::loader::Inputs;
use crate::config::plan::{Bind, HostPattern, Redirect, Respond};
use crate::config::report::{At, Report, Spot};
use crate::config::settings::{self, Variable};
use crate::config::source::{ActionSource, Inline, LimitsSource, ProxySource, RuleSource, UpstreamUse};
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
    pub(crate) bind: Option<Bind>,
    /// In written order.
    routes: Vec<Route>,
    /// `*_HTTPS_ENABLED`.
    https: bool,
    /// Services that are not served as they ask to be.
    pub(crate) rejected: usize,
}

impl ComposeSource {
    /// The rules, in the order in which they are to be tried. `tls`: whether their listener ends TLS;
    /// redirects lead to `https` then.
    pub(crate) fn into_rules(self, tls: bool) -> Vec<RuleSource> {
        rules(self.routes, self.https || tls)
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
    let https = wants_https(&mut reader);
    let map = Map::new(&reader, &projects);
    let mut all: Vec<Route> = Vec::new();
    let mut rejected = 0;
    for (index, project) in projects.iter().enumerate() {
        let before = all.len();
        let mut bad = 0;
        for service in &project.services {
            let (routes, is_rejected) = routes::of(&mut reader, &map, index, service);
            all.extend(routes);
            bad += usize::from(is_rejected);
        }
        if all.len() == before && bad == 0 && (projects.len() == 1 || !map.runs_gate(index)) {
            let message = "no service here has a label `smolgate.host`: nothing is routed";
            let hint = "add `labels: { smolgate.host: NAME, smolgate.port: PORT }` to one";
            reader.report.warning(Some(project.spot), message, hint);
        }
        rejected += bad;
    }
    let bind = http_port(&mut reader);
    files.append(&mut reader.files);
    Some(ComposeSource { spot, bind, routes: all, https, rejected })
}

/// `*_HTTPS_ENABLED`: the listeners that it asks for need certificates that nothing gets yet, so until
/// then it is an error to want it. Redirects already go by it.
fn wants_https(reader: &mut Reader<'_>) -> bool {
    let Some(Variable { name, value }) = settings::variable(reader.inputs, "HTTPS_ENABLED") else {
        return false;
    };
    match settings::flag(value.trim()) {
        Ok(true) => {
            let message = format!("{name} is set, and this version gets no certificates by itself yet");
            let hint =
                "take it away, and beside the compose file give a native one whose listener `http` has `tls`";
            reader.report.error_nowhere(message, Some(hint));
            true
        }
        Ok(false) => false,
        Err(wrong) => {
            reader.report.error_nowhere(format!("the value of {name} {}", wrong.problem), wrong.hint);
            false
        }
    }
}

fn http_port(reader: &mut Reader<'_>) -> Option<Bind> {
    let Variable { name, value } = settings::variable(reader.inputs, "HTTP_PORT")?;
    target::bind(value.trim())
        .map_err(|wrong| {
            reader.report.error_nowhere(format!("the value of {name} {}", wrong.problem), wrong.hint);
        })
        .ok()
}

/// Every route as a rule, and every host that is sent elsewhere as another, in order: redirects,
/// exact hosts, wildcards; hosts as they were written first; of one host the longest path first; then
/// as written.
fn rules(routes: Vec<Route>, https: bool) -> Vec<RuleSource> {
    let mut redirects: Vec<(HostPattern, RuleSource)> = Vec::new();
    let mut hosts: HashMap<HostPattern, usize> = HashMap::new();
    for route in &routes {
        let next = hosts.len();
        hosts.entry(route.host.clone()).or_insert(next);
        for from in &route.redirect_from {
            let rule = redirect(from, &route.host, https);
            let is_known = |(known, rule): &(HostPattern, RuleSource)| {
                *known == from.value
                    && matches!(&rule.action, Some(ActionSource::Redirect(to)) if *to.to == *origin(&route.host, https))
            };
            // Two routes of one host may well name the same ones.
            if !redirects.iter().any(is_known) {
                redirects.push((from.value.clone(), rule));
            }
        }
    }
    redirects.sort_by_key(|(from, _)| is_wildcard(from));
    let taken: HashSet<(HostPattern, Arc<str>)> = routes
        .iter()
        .filter(|route| matches!(route.leads, Leads::To { .. }))
        .map(|route| (route.host.clone(), route.path.clone()))
        .collect();
    let mut routes = routes;
    // Where another service answers, nothing has to be said.
    routes.retain(|route| {
        matches!(route.leads, Leads::To { .. }) || !taken.contains(&(route.host.clone(), route.path.clone()))
    });
    routes.sort_by_key(|route| {
        (is_wildcard(&route.host), hosts[&route.host], std::cmp::Reverse(route.path.len()))
    });
    redirects.into_iter().map(|(_, rule)| rule).chain(routes.into_iter().map(rule)).collect()
}

fn is_wildcard(host: &HostPattern) -> bool {
    matches!(host, HostPattern::Wildcard(_))
}

fn origin(host: &HostPattern, https: bool) -> String {
    format!("{}://{host}", if https { "https" } else { "http" })
}

fn redirect(from: &At<HostPattern>, to: &HostPattern, https: bool) -> RuleSource {
    let action = ActionSource::Redirect(Redirect { to: origin(to, https).into(), status: 301 });
    rule_source(from.spot, from.value.clone(), "/".into(), action)
}

fn rule(route: Route) -> RuleSource {
    let Route { spot, host, path, leads, .. } = route;
    let action = match leads {
        Leads::To { target, pass_host, strip_prefix } => ActionSource::Proxy(Box::new(ProxySource {
            upstream: UpstreamUse::Inline(Inline {
                spot: target.spot,
                targets: vec![target],
                tls: None,
                connect_timeout: None,
            }),
            pass_host,
            strip_path_prefix: strip_prefix,
            limits: LimitsSource::default(),
        })),
        Leads::Nowhere(why) => ActionSource::Respond(unavailable(&why)),
    };
    rule_source(spot, host, path, action)
}

/// Seconds: a person has to edit a file.
const RETRY_AFTER: &str = "30";

fn unavailable(why: &str) -> Respond {
    let why: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let headers = [("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", RETRY_AFTER)];
    Respond {
        status: 503,
        headers: headers.map(|(name, value)| (name.into(), value.into())).into(),
        body: format!("{why}\n").into(),
    }
}

fn rule_source(spot: Spot, host: HostPattern, path: Arc<str>, action: ActionSource) -> RuleSource {
    RuleSource {
        spot,
        name: None,
        hosts: vec![host],
        path_prefix: Some(path),
        methods: Vec::new(),
        action: Some(action),
    }
}
