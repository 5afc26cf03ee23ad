//! Rules and health as JSON.

use std::time::SystemTime;

use serde::Serialize;

use crate::config::plan::{Action, HostPattern, Plan, Protocol, UpstreamId, steps};
use crate::internal_api::control::{Control, Phase};

/// One line of `/routes`.
#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Listener(HttpView<'a>),
    Route(Route<'a>),
}

/// An HTTP listener as a JSON object: what it does before its rules.
#[derive(Serialize)]
struct HttpView<'a> {
    listener: &'a str,
    bind: Vec<String>,
    action: &'static str,
    before: Vec<String>,
    origin: String,
}

/// One rule as a JSON object, or a TCP listener, which has no rules.
#[derive(Serialize)]
struct Route<'a> {
    listener: &'a str,
    bind: Vec<String>,
    /// The place in the order in which rules are tried. Each listener counts from 0.
    index: usize,
    name: &'a str,
    /// Empty for any host.
    host: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_prefix: Option<&'a str>,
    /// Empty for any method.
    methods: Vec<&'a str>,
    #[serde(flatten)]
    action: ActionView<'a>,
    /// The steps of a TCP listener before it connects to its target.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    before: Vec<String>,
    /// `file:line`.
    origin: String,
}

#[derive(Serialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum ActionView<'a> {
    Proxy { upstream: &'a str, targets: Vec<String>, pass_host: bool, strip_path_prefix: bool },
    Redirect { to: &'a str, status: u16 },
    Respond { status: u16 },
    Pass { upstream: &'a str, targets: Vec<String> },
    Drop,
    Tcp { upstream: &'a str, targets: Vec<String> },
}

/// The rules of all listeners in the order in which they are tried. An HTTP listener is an entry with the action
/// `listen` before its rules. A TCP listener is one entry with the action `tcp`.
fn routes(plan: &Plan) -> Vec<Entry<'_>> {
    let mut routes = Vec::new();
    for listener in &plan.listeners {
        let bind: Vec<String> = listener.binds.iter().map(ToString::to_string).collect();
        let (before, origin) = (steps(listener), listener.origin.to_string());
        let listens =
            HttpView { listener: &listener.name, bind: bind.clone(), action: "listen", before, origin };
        match &listener.protocol {
            Protocol::Http(http) => {
                routes.push(Entry::Listener(listens));
                let rules = http.rules.iter().enumerate();
                routes.extend(rules.map(|(index, rule)| {
                    Entry::Route(Route {
                        listener: &listener.name,
                        bind: bind.clone(),
                        index,
                        name: &rule.name,
                        host: rule.hosts.iter().map(HostPattern::to_string).collect(),
                        path_prefix: Some(&rule.path_prefix),
                        methods: rule.methods.iter().map(|method| &**method).collect(),
                        action: action(plan, &rule.action),
                        before: Vec::new(),
                        origin: rule.origin.to_string(),
                    })
                }));
            }
            Protocol::Tcp(tcp) => {
                let (upstream, targets) = upstream(plan, tcp.upstream);
                routes.push(Entry::Route(Route {
                    listener: &listener.name,
                    bind,
                    index: 0,
                    name: &listener.name,
                    host: Vec::new(),
                    path_prefix: None,
                    methods: Vec::new(),
                    action: ActionView::Tcp { upstream, targets },
                    before: listens.before,
                    origin: listens.origin,
                }));
            }
        }
    }
    routes
}

/// The response to `/routes`: a JSON array with one rule per line.
pub(super) fn routes_page(plan: &Plan) -> String {
    let lines: Vec<String> = routes(plan).iter().map(json).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("invariant: these types have only string keys")
}

fn action<'a>(plan: &'a Plan, action: &'a Action) -> ActionView<'a> {
    match action {
        Action::Proxy(proxy) => {
            let (upstream, targets) = upstream(plan, proxy.upstream);
            let (pass_host, strip_path_prefix) = (proxy.pass_host, proxy.strip_path_prefix);
            ActionView::Proxy { upstream, targets, pass_host, strip_path_prefix }
        }
        Action::Redirect(redirect) => ActionView::Redirect { to: &redirect.to, status: redirect.status },
        Action::Respond(respond) => ActionView::Respond { status: respond.status },
        Action::Drop => ActionView::Drop,
        Action::Pass(pass) => {
            let (upstream, targets) = upstream(plan, pass.upstream);
            ActionView::Pass { upstream, targets }
        }
    }
}

fn upstream(plan: &Plan, id: UpstreamId) -> (&str, Vec<String>) {
    let upstream = &plan.upstreams[id.0];
    (&upstream.name, upstream.targets.iter().map(ToString::to_string).collect())
}

/// The response to `/health`, and whether the gate is well.
pub(super) fn health(control: &dyn Control, phase: Phase) -> (bool, String) {
    #[derive(Serialize)]
    struct Health {
        status: &'static str,
        phase: &'static str,
        version: &'static str,
        generation: u64,
        uptime_seconds: u64,
    }
    let up = phase == Phase::Ready;
    let health = Health {
        status: if up { "UP" } else { "DOWN" },
        phase: phase.word(),
        version: env!("CARGO_PKG_VERSION"),
        generation: control.generation(),
        uptime_seconds: SystemTime::now().duration_since(control.started()).unwrap_or_default().as_secs(),
    };
    (up, format!("{}\n", json(&health)))
}
