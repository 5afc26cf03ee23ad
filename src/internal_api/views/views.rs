//! Rules and health as JSON.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;

use crate::config::plan::{
    Action, Conditions, HostPattern, Listener, NamedCondition, Pass, Plan, Protocol, Proxy, ProxyProtocol,
    Redirect, Respond, Rule, Upstream, UpstreamId, steps,
};
use crate::internal_api::control::{Control, Phase};
use crate::metrics::EndpointFigures;

/// One line of `/routes`.
#[derive(Serialize)]
#[serde(untagged)]
pub(in crate::internal_api) enum Entry<'a> {
    Listener(HttpView<'a>),
    Route(Box<Route<'a>>),
}

/// An HTTP listener as a JSON object: what it does before its rules.
#[derive(Serialize)]
pub(in crate::internal_api) struct HttpView<'a> {
    listener: &'a str,
    bind: Vec<String>,
    action: &'static str,
    before: Vec<String>,
    origin: String,
}

/// One rule as a JSON object, or a TCP listener, which has no rules.
#[derive(Serialize)]
pub(in crate::internal_api) struct Route<'a> {
    pub(in crate::internal_api) listener: &'a str,
    bind: Vec<String>,
    /// The place in the order in which rules are tried. Each listener counts from 0.
    index: usize,
    pub(in crate::internal_api) name: &'a str,
    /// Empty for any host.
    host: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_prefix: Option<&'a str>,
    /// Empty for any method.
    methods: Vec<&'a str>,
    #[serde(flatten)]
    conditions: Option<Box<ConditionsView<'a>>>,
    #[serde(skip_serializing_if = "is_false")]
    in_the_clear: bool,
    #[serde(skip_serializing_if = "is_true")]
    acme: bool,
    #[serde(skip_serializing_if = "is_true")]
    access_log: bool,
    /// Keys that change fields of messages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<&'static str>,
    /// Each policy in YAML.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    policies: BTreeMap<&'static str, String>,
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
    Proxy {
        upstream: &'a str,
        targets: Vec<String>,
        pass_host: bool,
        strip_path_prefix: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        rewrite: Option<String>,
    },
    Redirect {
        to: String,
        status: u16,
    },
    Respond {
        status: u16,
    },
    Files {
        root: String,
        strip_path_prefix: bool,
    },
    Pass(PassView<'a>),
    Drop,
    Tcp(PassView<'a>),
}

/// Conditions of a rule. Those that always hold are left out.
#[derive(Serialize)]
struct ConditionsView<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    path: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    path_regex: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    from: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_from: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    header: BTreeMap<&'a str, Vec<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    cookie: BTreeMap<&'a str, Vec<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query: BTreeMap<&'a str, Vec<String>>,
    /// In per cent.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

#[derive(Serialize)]
struct PassView<'a> {
    upstream: &'a str,
    targets: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_proxy_protocol: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<String>,
}

pub(in crate::internal_api) fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_true(flag: &bool) -> bool {
    *flag
}

/// The rules of all listeners in the order in which they are tried. An HTTP listener is an entry with the action
/// `listen` before its rules. A TCP listener is one entry with the action `tcp`.
pub(in crate::internal_api) fn routes(plan: &Plan) -> Vec<Entry<'_>> {
    let mut routes = Vec::new();
    for listener in &plan.listeners {
        // `steps` say what the last three do.
        let Listener { name, origin, binds, protocol, tls: _, accept_proxy_protocol: _, shutdown_timeout: _ } =
            listener;
        let bind: Vec<String> = binds.iter().map(ToString::to_string).collect();
        let (before, origin) = (steps(listener), origin.to_string());
        match protocol {
            Protocol::Http(http) => {
                let listens =
                    HttpView { listener: name, bind: bind.clone(), action: "listen", before, origin };
                routes.push(Entry::Listener(listens));
                let rules = http.rules.iter().enumerate();
                let view =
                    |(index, rule)| Entry::Route(Box::new(rule_view(plan, name, bind.clone(), index, rule)));
                routes.extend(rules.map(view));
            }
            Protocol::Tcp(pass) => {
                routes.push(Entry::Route(Box::new(Route {
                    listener: name,
                    bind,
                    index: 0,
                    name,
                    host: Vec::new(),
                    path_prefix: None,
                    methods: Vec::new(),
                    conditions: None,
                    in_the_clear: false,
                    acme: true,
                    access_log: true,
                    changes: Vec::new(),
                    policies: BTreeMap::new(),
                    action: ActionView::Tcp(pass_view(plan, pass)),
                    before,
                    origin,
                })));
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
    let Rule {
        name,
        origin,
        hosts,
        path_prefix,
        methods,
        conditions,
        in_the_clear,
        acme,
        access_log,
        headers,
        policies,
        action,
    } = rule;
    let policies = policies.as_ref().map(|policies| policies.lines()).unwrap_or_default();
    Route {
        listener,
        bind,
        index,
        name,
        host: hosts.iter().map(HostPattern::to_string).collect(),
        path_prefix: (!rule.has_path_patterns()).then_some(path_prefix),
        methods: methods.iter().map(|method| &**method).collect(),
        conditions: conditions.as_deref().map(|conditions| Box::new(conditions_view(conditions))),
        in_the_clear: *in_the_clear,
        acme: *acme,
        access_log: *access_log,
        changes: headers.iter().flat_map(|headers| headers.lines()).map(|(key, _)| key).collect(),
        policies: policies.into_iter().collect(),
        action: action_view(plan, action),
        before: Vec::new(),
        origin: origin.to_string(),
    }
}

fn conditions_view(conditions: &Conditions) -> ConditionsView<'_> {
    let Conditions { paths, expressions, from, not_from, headers, cookies, query, share } = conditions;
    let [header, cookie, query] = [headers, cookies, query].map(|named| {
        let values = |one: &NamedCondition| one.values.iter().map(ToString::to_string).collect();
        named.iter().map(|one| (&*one.name, values(one))).collect()
    });
    let [from, not_from] =
        [from, not_from].map(|networks| networks.iter().map(ToString::to_string).collect());
    ConditionsView {
        path: paths.iter().map(ToString::to_string).collect(),
        path_regex: expressions.iter().map(ToString::to_string).collect(),
        from,
        not_from,
        header,
        cookie,
        query,
        share: share.as_ref().map(ToString::to_string),
        by: share.as_ref().map(|share| share.by.to_string()),
    }
}

/// The response to `/routes`: a JSON array with one rule per line.
pub(in crate::internal_api) fn routes_page(plan: &Plan) -> String {
    let lines: Vec<String> = routes(plan).iter().map(json).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

/// The response to `/upstreams`: a JSON array with one endpoint per line.
pub(in crate::internal_api) fn upstreams_page(endpoints: &[EndpointFigures]) -> String {
    let lines: Vec<String> = endpoints.iter().map(json).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

pub(in crate::internal_api) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("invariant: these types have only string keys")
}

fn action_view<'a>(plan: &'a Plan, action: &'a Action) -> ActionView<'a> {
    match action {
        Action::Proxy(proxy) => {
            let Proxy {
                upstream,
                pass_host,
                strip_path_prefix,
                rewrite,
                // Limits do not change where a request goes. They are in `/config`.
                buffer_request: _,
                limits: _,
            } = proxy;
            let (upstream, targets) = upstream_view(plan, *upstream);
            let (pass_host, strip_path_prefix) = (*pass_host, *strip_path_prefix);
            let rewrite = rewrite.as_ref().map(ToString::to_string);
            ActionView::Proxy { upstream, targets, pass_host, strip_path_prefix, rewrite }
        }
        Action::Redirect(Redirect { to, status }) => {
            ActionView::Redirect { to: to.to_string(), status: *status }
        }
        Action::Respond(Respond { status, headers: _, body: _, page: _ }) => {
            ActionView::Respond { status: *status }
        }
        Action::Files(files) => ActionView::Files {
            root: files.root.display().to_string(),
            strip_path_prefix: files.strip_path_prefix,
        },
        Action::Drop => ActionView::Drop,
        Action::Pass(pass) => ActionView::Pass(pass_view(plan, pass)),
    }
}

fn pass_view<'a>(plan: &'a Plan, pass: &Pass) -> PassView<'a> {
    let Pass { upstream, send_proxy_protocol, idle_timeout: _, speed, plugins: _ } = pass;
    let (upstream, targets) = upstream_view(plan, *upstream);
    let send_proxy_protocol = send_proxy_protocol.map(ProxyProtocol::word);
    let speed = speed.as_ref().map(ToString::to_string);
    PassView { upstream, targets, send_proxy_protocol, speed }
}

fn upstream_view(plan: &Plan, id: UpstreamId) -> (&str, Vec<String>) {
    let Upstream { name, targets, .. } = &plan.upstreams[id.0];
    (name, targets.iter().map(ToString::to_string).collect())
}

/// The response to `/health`, and whether the gate is well.
pub(in crate::internal_api) fn health(control: &dyn Control, phase: Phase) -> (bool, String) {
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

#[cfg(test)]
mod tests {
    use super::routes;
    use crate::config::{MemoryInputs, load};

    #[test]
    fn what_stays_in_the_clear_and_which_target_gets_a_proxy_header_is_shown() {
        let text = r#"listeners:
  - name: http
    bind: 80
    redirect_to_https: true
    rules:
      - { in_the_clear: true, respond: { body: x } }
      - { pass: "mail:80", send_proxy_protocol: v1 }
  - { name: raw, bind: 81, protocol: tcp, target: "db:5432", send_proxy_protocol: v2 }
"#;
        let inputs = MemoryInputs::new().file("smolgate.yml", text);
        let plan = load(&["smolgate.yml".into()], &inputs).unwrap().plan;
        let routes = serde_json::to_value(routes(&plan)).unwrap();
        let shown = |index: usize, key: &str| routes[index].get(key).cloned();
        assert_eq!(shown(1, "in_the_clear"), Some(true.into()));
        assert_eq!((shown(2, "in_the_clear"), shown(2, "send_proxy_protocol")), (None, Some("v1".into())));
        assert_eq!(shown(3, "send_proxy_protocol"), Some("v2".into()));
    }
}
