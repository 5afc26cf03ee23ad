//! Rules and health as JSON.

use std::time::SystemTime;

use serde::Serialize;

use crate::config::plan::{
    Action, HostPattern, HttpListener, Listener, Pass, Plan, Protocol, Proxy, ProxyProtocol, Redirect,
    Respond, Rule, Upstream, UpstreamId,
};
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
    #[serde(skip_serializing_if = "is_false")]
    in_the_clear: bool,
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
    Pass(PassView<'a>),
    Drop,
    Tcp(PassView<'a>),
}

#[derive(Serialize)]
struct PassView<'a> {
    upstream: &'a str,
    targets: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_proxy_protocol: Option<&'static str>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// The rules of all listeners in the order in which they are tried. A TCP listener is one entry with the action
/// `tcp`.
pub fn routes(plan: &Plan) -> Vec<Route<'_>> {
    let mut routes = Vec::new();
    for listener in &plan.listeners {
        // The other keys of a listener are in `/config`.
        let Listener { name, origin, binds, protocol, tls: _, accept_proxy_protocol: _, shutdown_timeout: _ } =
            listener;
        let bind: Vec<String> = binds.iter().map(ToString::to_string).collect();
        match protocol {
            Protocol::Http(http) => {
                let HttpListener {
                    rules,
                    head: _,
                    header_timeout: _,
                    idle_timeout: _,
                    trusted_proxies: _,
                    redirect_to_https: _,
                } = http;
                let rules = rules.iter().enumerate();
                routes.extend(rules.map(|(index, rule)| rule_view(plan, name, bind.clone(), index, rule)));
            }
            Protocol::Tcp(pass) => {
                routes.push(Route {
                    listener: name,
                    bind,
                    index: 0,
                    name,
                    host: Vec::new(),
                    path_prefix: None,
                    methods: Vec::new(),
                    in_the_clear: false,
                    action: ActionView::Tcp(pass_view(plan, pass)),
                    origin: origin.to_string(),
                });
            }
        }
    }
    routes
}

fn rule_view<'a>(
    plan: &'a Plan,
    listener: &'a str,
    bind: Vec<String>,
    index: usize,
    rule: &'a Rule,
) -> Route<'a> {
    let Rule { name, origin, hosts, path_prefix, methods, in_the_clear, action } = rule;
    Route {
        listener,
        bind,
        index,
        name,
        host: hosts.iter().map(HostPattern::to_string).collect(),
        path_prefix: Some(path_prefix),
        methods: methods.iter().map(|method| &**method).collect(),
        in_the_clear: *in_the_clear,
        action: action_view(plan, action),
        origin: origin.to_string(),
    }
}

/// The response to `/routes`: a JSON array with one rule per line.
pub(super) fn routes_page(plan: &Plan) -> String {
    let lines: Vec<String> = routes(plan).iter().map(json).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("invariant: these types have only string keys")
}

fn action_view<'a>(plan: &'a Plan, action: &'a Action) -> ActionView<'a> {
    match action {
        Action::Proxy(proxy) => {
            let Proxy {
                upstream,
                pass_host,
                strip_path_prefix,
                // Limits do not change where a request goes. They are in `/config`.
                max_body: _,
                body_timeout: _,
                response_timeout: _,
                tunnel_timeout: _,
            } = proxy;
            let (upstream, targets) = upstream_view(plan, *upstream);
            let (pass_host, strip_path_prefix) = (*pass_host, *strip_path_prefix);
            ActionView::Proxy { upstream, targets, pass_host, strip_path_prefix }
        }
        Action::Redirect(Redirect { to, status }) => ActionView::Redirect { to, status: *status },
        Action::Respond(Respond { status, headers: _, body: _ }) => ActionView::Respond { status: *status },
        Action::Drop => ActionView::Drop,
        Action::Pass(pass) => ActionView::Pass(pass_view(plan, pass)),
    }
}

fn pass_view<'a>(plan: &'a Plan, pass: &Pass) -> PassView<'a> {
    let Pass { upstream, send_proxy_protocol, idle_timeout: _ } = pass;
    let (upstream, targets) = upstream_view(plan, *upstream);
    let send_proxy_protocol = send_proxy_protocol.map(ProxyProtocol::word);
    PassView { upstream, targets, send_proxy_protocol }
}

fn upstream_view(plan: &Plan, id: UpstreamId) -> (&str, Vec<String>) {
    let Upstream { name, origin: _, targets, tls: _, connect_timeout: _, tries: _, idle_timeout: _ } =
        &plan.upstreams[id.0];
    (name, targets.iter().map(ToString::to_string).collect())
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
