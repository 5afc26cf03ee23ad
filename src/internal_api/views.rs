//! Rules and health as JSON.

use std::time::SystemTime;

use serde::Serialize;

use crate::config::plan::{Action, HostPattern, Plan, Protocol, UpstreamId};
use crate::internal_api::control::{Control, Phase};

/// One rule as a JSON object, or a TCP listener, which has no rules.
#[derive(Serialize)]
pub struct Route<'a> {
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

/// The rules of all listeners in the order in which they are tried. A TCP listener is one entry with the action
/// `tcp`.
pub fn routes(plan: &Plan) -> Vec<Route<'_>> {
    let mut routes = Vec::new();
    for listener in &plan.listeners {
        let bind: Vec<String> = listener.binds.iter().map(ToString::to_string).collect();
        match &listener.protocol {
            Protocol::Http(http) => routes.extend(http.rules.iter().enumerate().map(|(index, rule)| Route {
                listener: &listener.name,
                bind: bind.clone(),
                index,
                name: &rule.name,
                host: rule.hosts.iter().map(HostPattern::to_string).collect(),
                path_prefix: Some(&rule.path_prefix),
                methods: rule.methods.iter().map(|method| &**method).collect(),
                action: action(plan, &rule.action),
                origin: rule.origin.to_string(),
            })),
            Protocol::Tcp(tcp) => {
                let (upstream, targets) = upstream(plan, tcp.upstream);
                routes.push(Route {
                    listener: &listener.name,
                    bind,
                    index: 0,
                    name: &listener.name,
                    host: Vec::new(),
                    path_prefix: None,
                    methods: Vec::new(),
                    action: ActionView::Tcp { upstream, targets },
                    origin: listener.origin.to_string(),
                });
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
