//! The tables of `top`: lines of text, without a terminal.

use super::sample::{Endpoint, Reply, Rule, Sample};
use crate::cli::output;

/// The tables that are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum View {
    /// All three.
    #[default]
    All,
    /// Endpoints of upstreams.
    Upstreams,
    /// Rules.
    Rules,
    /// Reasons why the gate replied by itself.
    Why,
}

impl View {
    pub(super) fn of_key(key: char) -> Option<View> {
        let all = [('a', View::All), ('u', View::Upstreams), ('r', View::Rules), ('w', View::Why)];
        all.into_iter().find(|(own, _)| *own == key).map(|(_, view)| view)
    }

    fn has(self, view: View) -> bool {
        self == View::All || self == view
    }
}

/// Everything, for an output that is no terminal.
pub(super) fn whole(before: &Sample, now: &Sample) -> Vec<String> {
    lines(before, now, View::All, false, "").into_iter().chain([String::new()]).collect()
}

/// The head and the tables of a view. Rows without the text of the filter are left out.
pub(super) fn lines(before: &Sample, now: &Sample, view: View, by_rate: bool, filter: &str) -> Vec<String> {
    let seconds = now.seconds_since(before);
    let mut lines = vec![head(before, now)];
    let tables = [
        (View::Upstreams, upstreams(before, now, seconds)),
        (View::Rules, rules(before, now, seconds)),
        (View::Why, replies(before, now, seconds)),
    ];
    for (_, Table { head, mut rows }) in tables.into_iter().filter(|(own, _)| view.has(*own)) {
        rows.retain(|(_, cells)| filter.is_empty() || cells.iter().any(|cell| cell.contains(filter)));
        if by_rate {
            rows.sort_by(|one, other| other.0.total_cmp(&one.0));
        }
        let cells = rows.into_iter().map(|(_, cells)| cells);
        let all: Vec<Vec<String>> = std::iter::once(head.map(str::to_owned).to_vec()).chain(cells).collect();
        lines.push(String::new());
        lines.extend(output::columns(&all).lines().map(str::to_owned));
    }
    let left_out = now.rules_total - now.rules.len().min(now.rules_total);
    if left_out > 0 && view.has(View::Rules) {
        lines.push(format!("{left_out} rules are not listed"));
    }
    lines
}

/// Seven columns, and rows with the number by which they are sorted.
struct Table {
    head: [&'static str; 7],
    rows: Vec<(f64, Vec<String>)>,
}

fn head(before: &Sample, now: &Sample) -> String {
    let seconds = now.seconds_since(before);
    let per_second =
        |of: fn(&super::sample::Listener) -> u64| now.sum(of).saturating_sub(before.sum(of)) as f64 / seconds;
    let class = |class: &str| now.responses(class).saturating_sub(before.responses(class)) as f64 / seconds;
    let durations = now.durations().since(Some(&before.durations()));
    let quantile = |part| duration(durations.quantile(part, &now.bounds_ms));
    format!(
        "smolgate {}  {}  generation {}  up {}  {} req/s  4xx {}/s  5xx {}/s  p50 {}  p99 {}  open {}  in {}/s  out {}/s",
        now.version,
        now.phase,
        now.generation,
        uptime(now.uptime_seconds),
        rate(per_second(|one| one.requests)),
        rate(class("4xx")),
        rate(class("5xx")),
        quantile(0.5),
        quantile(0.99),
        now.sum(|one| one.open),
        bytes(per_second(|one| one.bytes_received)),
        bytes(per_second(|one| one.bytes_sent)),
    )
}

fn upstreams(before: &Sample, now: &Sample, seconds: f64) -> Table {
    let mut rows = Vec::new();
    for upstream in &now.upstreams {
        let old = before.upstream(&upstream.name);
        let durations = upstream.durations.since(old.map(|old| &old.durations));
        for endpoint in &upstream.endpoints {
            let Endpoint { target, state, open, requests, failures, why } = endpoint;
            let known = old.and_then(|old| old.endpoints.iter().find(|old| old.target == *target));
            let per_second =
                requests.saturating_sub(known.map_or(*requests, |old| old.requests)) as f64 / seconds;
            let p99 = duration(durations.quantile(0.99, &now.bounds_ms));
            let why = if why.is_empty() { state.clone() } else { format!("{state}: {why}") };
            let cells = vec![
                upstream.name.clone(),
                target.clone(),
                open.to_string(),
                rate(per_second),
                failures.to_string(),
                p99,
                why,
            ];
            rows.push((per_second, cells));
        }
    }
    Table { head: ["UPSTREAM", "TARGET", "OPEN", "REQ/S", "FAILURES", "P99", "STATE"], rows }
}

fn rules(before: &Sample, now: &Sample, seconds: f64) -> Table {
    let row = |rule: &Rule| {
        let old = before.rule(rule);
        let total = rule.total();
        let per_second = total.saturating_sub(old.map_or(total, Rule::total)) as f64 / seconds;
        let class = |class: &str| rule.responses.get(class).copied().unwrap_or(0);
        let host = if rule.host.is_empty() { "*".to_owned() } else { rule.host.join(",") };
        let cells = vec![
            rule.name.clone(),
            format!("{host}{}", rule.path_prefix),
            rule.action.clone(),
            rate(per_second),
            total.to_string(),
            class("4xx").to_string(),
            class("5xx").to_string(),
        ];
        (per_second, cells)
    };
    let rows = now.rules.iter().map(row).collect();
    Table { head: ["RULE", "TAKES", "ACTION", "REQ/S", "REQUESTS", "4XX", "5XX"], rows }
}

fn replies(before: &Sample, now: &Sample, seconds: f64) -> Table {
    let row = |reply: &Reply| {
        let Reply { reason, status, count, text } = reply;
        let old = before.replies.iter().find(|old| old.reason == *reason).map_or(0, |old| old.count);
        let per_second = count.saturating_sub(old) as f64 / seconds;
        let cells = [reason.clone(), status.to_string(), rate(per_second), count.to_string(), text.clone()];
        (per_second, cells.to_vec())
    };
    let rows = now.replies.iter().map(row).collect();
    Table { head: ["REASON", "STATUS", "PER S", "COUNT", "WHY", "", ""], rows }
}

fn rate(per_second: f64) -> String {
    if per_second > 0.0 && per_second < 9.95 {
        format!("{per_second:.1}")
    } else {
        format!("{per_second:.0}")
    }
}

fn duration(millis: Option<f64>) -> String {
    match millis {
        None => "-".to_owned(),
        Some(millis) if millis < 9.95 => format!("{millis:.1}ms"),
        Some(millis) if millis < 1_000.0 => format!("{millis:.0}ms"),
        Some(millis) => format!("{:.1}s", millis / 1e3),
    }
}

fn bytes(per_second: f64) -> String {
    let units = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    match units.iter().find(|(_, size)| per_second >= *size) {
        Some((unit, size)) => format!("{:.1}{unit}", per_second / size),
        None => format!("{per_second:.0}B"),
    }
}

fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}min"),
        (0, hours, minutes) => format!("{hours}h {minutes}min"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

/// The part of a line that fits.
pub(super) fn cut(line: &str, width: usize) -> String {
    line.chars().filter(|char| !char.is_control()).take(width).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample(time_ms: u64, requests: u64, failures: u64) -> Sample {
        let durations = json!({ "counts": [requests, 0, 0], "total_ms": 1.5 });
        serde_json::from_value(json!({
            "version": "0.1.0", "phase": "ready", "generation": 2, "time_ms": time_ms, "uptime_seconds": 93_784,
            "bounds_ms": [1.0, 2.5], "rules_total": 3,
            "listeners": [{
                "name": "http", "open": 7, "requests": requests, "bytes_received": requests * 100,
                "bytes_sent": requests * 10_000, "durations": durations,
            }],
            "rules": [
                { "listener": "http", "name": "quiet", "host": [], "path_prefix": "/q", "action": "drop", "responses": {} },
                {
                    "listener": "http", "name": "app", "host": ["a.test", "b.test"], "path_prefix": "/", "action": "proxy",
                    "responses": { "2xx": requests, "5xx": failures },
                },
            ],
            "upstreams": [{
                "name": "api", "durations": durations, "endpoints": [
                    { "target": "10.0.0.1:80", "state": "up", "open": 2, "requests": requests, "failures": 0 },
                    {
                        "target": "10.0.0.2:80", "state": "down", "open": 0, "requests": 0, "failures": failures,
                        "why": "health check: status 503",
                    },
                ],
            }],
            "replies": [{ "reason": "no_target", "status": 503, "count": failures, "text": "No target." }],
        }))
        .unwrap()
    }

    #[test]
    fn rates_are_those_between_two_samples() {
        let text = whole(&sample(1_000, 100, 1), &sample(3_000, 300, 2)).join("\n");
        let expected = "\
smolgate 0.1.0  ready  generation 2  up 1d 2h  100 req/s  4xx 0/s  5xx 0.5/s  p50 0.5ms  p99 1.0ms  open 7  in 10.0kB/s  out 1.0MB/s

UPSTREAM  TARGET       OPEN  REQ/S  FAILURES  P99    STATE
api       10.0.0.1:80  2     100    0         1.0ms  up
api       10.0.0.2:80  0     0      2         1.0ms  down: health check: status 503

RULE   TAKES           ACTION  REQ/S  REQUESTS  4XX  5XX
quiet  */q             drop    0      0         0    0
app    a.test,b.test/  proxy   100    302       0    2

REASON     STATUS  PER S  COUNT  WHY
no_target  503     0.5    2      No target.
1 rules are not listed
";
        assert_eq!(text, expected);
    }

    #[test]
    fn rows_are_sorted_and_filtered() {
        let (before, now) = (sample(1_000, 100, 1), sample(3_000, 300, 2));
        let shown = |view, by_rate, filter| lines(&before, &now, view, by_rate, filter)[3..].join("\n");
        assert!(shown(View::Rules, true, "").starts_with("app "));
        assert!(shown(View::Rules, false, "").starts_with("quiet "));
        assert_eq!(shown(View::Why, false, "nothing of the kind"), "");
        assert!(shown(View::Upstreams, false, "0.2:80").starts_with("api       10.0.0.2:80"));
        assert_eq!(cut("a\u{1b}bcd", 3), "abc");
        assert_eq!((uptime(59), uptime(60), uptime(3_660)), ("59s".into(), "1min".into(), "1h 1min".into()));
        assert_eq!(
            (bytes(999.0), bytes(1_500.0), rate(0.04), duration(Some(1_500.0))),
            ("999B".into(), "1.5kB".into(), "0.0".into(), "1.5s".into())
        );
    }
}
