//! The whole of a source, and each of its listeners.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::plugins::PluginNames;
use super::policies::{Defaults, PolicySets};
use super::rules;
use super::upstreams::{TargetProtocol, Upstreams};
use super::{acme, binds, tls};
use crate::config::diagnostics::{Report, Span, Spanned};
use crate::config::inputs::Inputs;
use crate::config::plan::{
    Bind, HttpListener, HttpSettings, InternalApi, InternalBind, Listener, OrderedHosts, Pass, Plan,
    PoliciesWritten, Protocol,
};
use crate::config::source::{self, HttpSource, InternalSource, ListenerSource, ProtocolSource, Source};
use crate::config::values::environment;

const INTERNAL_PORT: u16 = 42007;
const TCP_IDLE_TIMEOUT: Duration = Duration::from_secs(3_600);

/// A plan, with the places of its parts, for the warnings that follow.
pub(crate) struct Lowered {
    pub(crate) plan: Plan,
    /// For each listener of the plan.
    pub(crate) spans: Vec<ListenerSpans>,
    /// The place of the internal API's address. `None` if it is not in a file.
    pub(crate) internal_bind: Option<Span>,
    /// For each upstream of the plan, the places of its targets.
    pub(crate) targets: Vec<Vec<Span>>,
}

/// The places of a listener and its rules.
pub(crate) struct ListenerSpans {
    pub(crate) listener: Span,
    pub(crate) rules: Vec<Span>,
}

/// The plan that all files together describe. It can be used only if the report has no error.
pub(crate) fn lower(source: Source, inputs: &dyn Inputs, report: &mut Report) -> Lowered {
    let mut upstreams = Upstreams::named(source.upstreams, report);
    let (plugin_names, plugins) = PluginNames::named(source.plugins, report);
    let sets = PolicySets::named(source.policies, plugin_names, report);
    let (internal_api, internal_place, internal_bind) = internal_api(source.internal_api, inputs, report);
    check_names(&source.listeners, report);
    binds::check(&source.listeners, &internal_api.bind, &internal_place, report);
    let mut settings = source.settings;
    settings.watch = environment::watch(settings.watch, inputs, report);
    let orders = acme::lower(source.acme, source.store, &source.listeners, report);
    let ordered = orders.as_ref().map(|Spanned { value: orders, .. }| OrderedHosts {
        store: orders.store.folder().map(Arc::from),
        wildcards: orders.dns.is_some(),
    });
    let pages = PoliciesWritten { pages: source.pages, ..PoliciesWritten::default() };
    let common = Common {
        shutdown_timeout: settings.shutdown_timeout,
        ordered,
        sets,
        defaults: Defaults { policies: pages, ..Defaults::default() },
        inputs,
    };
    let lower = |listener| lower_listener(listener, &common, &mut upstreams, report);
    let (listeners, spans): (Vec<_>, _) = source.listeners.into_iter().filter_map(lower).unzip();
    if let Some(orders) = &orders {
        acme::check_ports(orders, &listeners, report);
    }
    let (upstreams, targets) = upstreams.finish(report);
    let plan = Plan {
        files: source.files,
        settings,
        access_log_origin: source.access_log.as_ref().map(|access| report.origin(access.span)),
        access_log: source.access_log.and_then(|access| access.value),
        internal_api,
        orders: orders.map(|orders| orders.value),
        listeners,
        upstreams,
        plugins,
        rejected_services: source.rejected_services,
        mode: source.chosen_mode,
    };
    Lowered { plan, spans, internal_bind, targets }
}

/// The internal API, and the source of its address in words and as a place. The environment comes before the file.
pub(crate) fn internal_api(
    source: Option<Spanned<InternalSource>>,
    inputs: &dyn Inputs,
    report: &mut Report,
) -> (InternalApi, String, Option<Span>) {
    let InternalSource { bind, token, edits } =
        source.map_or_else(InternalSource::default, |source| source.value);
    let edits = edits.map(|edits| edits.value);
    let (mut bind, mut place, mut span) = match bind {
        Some(bind) => (bind.value, report.place(bind.span), Some(bind.span)),
        None => (
            InternalBind::Tcp(Bind::Address(([127, 0, 0, 1], INTERNAL_PORT).into())),
            "by default".to_owned(),
            None,
        ),
    };
    if let Some(text) = inputs.env("INTERNAL_API_PORT").filter(|text| !text.is_empty()) {
        match source::internal_bind(&text, |path| path.into()) {
            Ok(from_environment) => {
                (bind, place, span) = (from_environment, "by INTERNAL_API_PORT".to_owned(), None);
            }
            Err(error) => {
                report.error_without_place(
                    format!("the value of INTERNAL_API_PORT {}", error.problem),
                    error.hint,
                );
            }
        }
    }
    (InternalApi { bind, token, edits }, place, span)
}

fn check_names(listeners: &[ListenerSource], report: &mut Report) {
    let mut seen: HashMap<&str, Span> = HashMap::new();
    for name in listeners.iter().filter_map(|listener| listener.name.as_ref()) {
        if let Some(first) = seen.get(&*name.value) {
            let (message, first) =
                (format!("two listeners are named `{}`", name.value), report.place(*first));
            report.error_hint(name.span, message, format!("the first one is at {first}"));
        } else {
            seen.insert(&name.value, name.span);
        }
    }
}

/// The values that all listeners share.
struct Common<'a> {
    shutdown_timeout: Duration,
    ordered: Option<OrderedHosts>,
    sets: PolicySets,
    defaults: Defaults,
    inputs: &'a dyn Inputs,
}

fn lower_listener(
    source: ListenerSource,
    common: &Common<'_>,
    upstreams: &mut Upstreams,
    report: &mut Report,
) -> Option<(Listener, ListenerSpans)> {
    let origin = report.origin(source.span);
    let mut spans = ListenerSpans { listener: source.span, rules: Vec::new() };
    let protocol = match source.protocol {
        ProtocolSource::Http(http) => {
            let name = source.name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
            spans.rules = http.rules.iter().map(|rule| rule.span).collect();
            Some(Protocol::Http(lower_http(*http, &name, common, upstreams, report)))
        }
        ProtocolSource::Tcp(tcp) => {
            let upstream = tcp.upstream.and_then(|one| upstreams.use_one(one, TargetProtocol::Tcp, report));
            let idle_timeout = tcp.idle_timeout.map_or(TCP_IDLE_TIMEOUT, |timeout| timeout.value);
            let send_proxy_protocol = tcp.send_proxy_protocol;
            let name = source.name.as_ref().map_or("", |name| &name.value);
            let speed = tcp.policies.in_place(format_args!("listeners.{name}")).speed.flatten();
            upstream.map(|upstream| {
                Protocol::Tcp(Pass { upstream, send_proxy_protocol, idle_timeout, speed, plugins: None })
            })
        }
    };
    if let (Some(tls), Some(protocol)) = (&source.tls, &protocol) {
        tls::check_certificates(tls, protocol, report);
    }
    let listener = Listener {
        name: source.name?.value,
        origin,
        binds: source.binds.into_iter().map(|bind| bind.value).collect(),
        protocol: protocol?,
        accept_proxy_protocol: source.accept_proxy_protocol,
        tls: source.tls.map(|tls| tls::lower(tls, &common.ordered, report)),
        shutdown_timeout: source.shutdown_timeout.map_or(common.shutdown_timeout, |timeout| timeout.value),
    };
    Some((listener, spans))
}

fn lower_http(
    mut source: HttpSource,
    name: &Arc<str>,
    common: &Common<'_>,
    upstreams: &mut Upstreams,
    report: &mut Report,
) -> HttpListener {
    source.policies = source.policies.in_place(format_args!("listeners.{name}"));
    let HttpSource { limits, policies, policy, headers, .. } = &source;
    let Common { sets, defaults, inputs, .. } = common;
    let limits_requests = source.max_requests.is_some();
    let defaults = Defaults { limits_requests, listener: name.clone(), ..defaults.clone() };
    let defaults = defaults.below(policy, sets, report).with(policies, limits, headers);
    let mut settings = HttpSettings::default().with(&source.settings);
    settings.target_bytes_max = settings.target_bytes_max.min(settings.head_bytes_max);
    HttpListener {
        rules: rules::lower(source.rules, &defaults, sets, upstreams, *inputs, report),
        settings,
        trusted_proxies: source.trusted_proxies,
        client_gone: source.client_gone,
        redirect_to_https: source.redirect_to_https,
        max_requests: source.max_requests,
        pages: defaults.policies.pages.flatten(),
    }
}
