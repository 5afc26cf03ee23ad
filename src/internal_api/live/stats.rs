//! `/stats`: every counter as a number, with the names that belong to it. docs/internal-api.md describes each field.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::config::plan::Plan;
use crate::internal_api::control::Control;
use crate::internal_api::views::{CertificateView, Entry, Route, certificate_view, json, routes};
use crate::metrics::{
    EndpointFigures, ListenerStats, ProcessStats, ReloadStats, Responses, Stats, UpstreamStats,
};
use crate::reason::Reason;

/// Rules that are listed. Of more rules, those without a request are left out.
const RULES_MAX: usize = 1_000;

#[derive(Serialize)]
struct View<'a> {
    version: &'static str,
    phase: &'static str,
    generation: u64,
    /// Milliseconds since 1970.
    time_ms: u64,
    uptime_seconds: u64,
    reloads: ReloadStats,
    /// Upper bounds of all `durations`, in milliseconds.
    bounds_ms: &'static [f64],
    listeners: Vec<ListenerView<'a>>,
    rules_total: usize,
    rules: Vec<RuleView<'a>>,
    upstreams: Vec<UpstreamView<'a>>,
    replies: Vec<ReplyView>,
    certificates: Vec<ExpiryView<'a>>,
    orders: Vec<CertificateView>,
    access_log_lines_lost: u64,
    log_lines_lost: u64,
    process: Option<ProcessView>,
}

#[derive(Serialize)]
struct ListenerView<'a> {
    name: &'a str,
    #[serde(flatten)]
    stats: &'a ListenerStats,
}

#[derive(Serialize)]
struct RuleView<'a> {
    #[serde(flatten)]
    route: Box<Route<'a>>,
    responses: Responses,
}

#[derive(Serialize)]
struct UpstreamView<'a> {
    name: &'a str,
    #[serde(flatten)]
    stats: UpstreamStats,
    endpoints: Vec<&'a EndpointFigures>,
}

#[derive(Serialize)]
struct ReplyView {
    reason: &'static str,
    status: u16,
    count: u64,
    text: &'static str,
}

#[derive(Serialize)]
struct ExpiryView<'a> {
    listener: &'a str,
    name: &'a str,
    /// Seconds since 1970.
    expires: i64,
}

#[derive(Serialize)]
struct ProcessView {
    cpu_seconds: f64,
    resident_bytes: u64,
    open_fds: u64,
    max_fds: Option<u64>,
    threads: u64,
}

/// The response to `/stats`.
pub(in crate::internal_api) async fn stats(control: &dyn Control) -> String {
    let phase = control.phase().await.word();
    let (plan, endpoints, stats) = (control.plan(), control.endpoints(), control.counters().stats());
    let now = SystemTime::now();
    let (rules_total, rules) = rules(&plan, &stats);
    let [access_log_lines_lost, log_lines_lost] = stats.lines_lost;
    let view = View {
        version: env!("CARGO_PKG_VERSION"),
        phase,
        generation: control.generation(),
        time_ms: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
        uptime_seconds: now.duration_since(control.started()).unwrap_or_default().as_secs(),
        reloads: stats.reloads.clone(),
        bounds_ms: &Stats::BOUNDS_MS,
        listeners: stats.listeners.iter().map(|(name, stats)| ListenerView { name, stats }).collect(),
        rules_total,
        rules,
        upstreams: upstreams(&endpoints, &stats),
        replies: stats.replies.iter().map(|(reason, count)| reply(*reason, *count)).collect(),
        certificates: stats
            .certificates
            .iter()
            .map(|one| ExpiryView { listener: &one.listener, name: &one.name, expires: one.expires })
            .collect(),
        orders: control.certificates().into_iter().map(certificate_view).collect(),
        access_log_lines_lost,
        log_lines_lost,
        process: ProcessStats::read().map(process),
    };
    format!("{}\n", json(&view))
}

/// The number of all rules, and those that are listed, in the order in which they are tried.
fn rules<'a>(plan: &'a Plan, stats: &Stats) -> (usize, Vec<RuleView<'a>>) {
    let responses: BTreeMap<(&str, &str), Responses> = stats
        .responses
        .iter()
        .map(|((listener, rule), responses)| ((&**listener, &**rule), *responses))
        .collect();
    let view = |entry| match entry {
        Entry::Listener(_) => None,
        Entry::Route(route) => {
            let responses = responses.get(&(route.listener, route.name)).copied().unwrap_or_default();
            Some(RuleView { route, responses })
        }
    };
    let mut rules: Vec<_> = routes(plan).into_iter().filter_map(view).collect();
    let total = rules.len();
    if total > RULES_MAX {
        rules.retain(|rule| rule.responses.total() > 0);
        rules.truncate(RULES_MAX);
    }
    (total, rules)
}

/// The upstreams of the current configuration. Counters of others are in `/metrics`.
fn upstreams<'a>(endpoints: &'a [EndpointFigures], stats: &Stats) -> Vec<UpstreamView<'a>> {
    let mut views: Vec<UpstreamView<'a>> = Vec::new();
    for endpoint in endpoints {
        match views.last_mut().filter(|view| *view.name == *endpoint.upstream) {
            Some(view) => view.endpoints.push(endpoint),
            None => views.push(UpstreamView {
                name: &endpoint.upstream,
                stats: stats.upstreams.get(&endpoint.upstream).cloned().unwrap_or_default(),
                endpoints: vec![endpoint],
            }),
        }
    }
    views
}

fn reply(reason: Reason, count: u64) -> ReplyView {
    ReplyView { reason: reason.code(), status: reason.status(), count, text: reason.explain() }
}

fn process(stats: ProcessStats) -> ProcessView {
    let ProcessStats { cpu_seconds, resident_bytes, virtual_bytes: _, open_fds, max_fds, threads, start: _ } =
        stats;
    ProcessView { cpu_seconds, resident_bytes, open_fds, max_fds, threads }
}
