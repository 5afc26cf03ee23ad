//! Tests of `/metrics`, line by line.

use super::*;
use crate::metrics::{Histogram, NAMES_MAX, RULE_SERIES_MAX, SERIES_MAX};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// A sample: its name with labels, as written, and its value.
type Samples = HashMap<String, f64>;

fn is_name(text: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(rest)
}

/// Parses `{a="b",...}`. Panics on anything else.
fn labels(text: &str) -> Vec<(String, String)> {
    let mut rest = text.strip_prefix('{').expect("{");
    let mut found = Vec::new();
    loop {
        let (name, after) = rest.split_once("=\"").expect("name=\"");
        assert!(is_name(name), "{name}");
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next().expect("a closing quote") {
                (at, '"') => break at,
                (_, '\\') => match characters.next().expect("an escape").1 {
                    'n' => value.push('\n'),
                    same @ ('\\' | '"') => value.push(same),
                    other => panic!("unknown escape {other}"),
                },
                (_, '\n') => panic!("a bare line end"),
                (_, other) => value.push(other),
            }
        };
        found.push((name.to_string(), value));
        rest = &after[end + 1..];
        if rest == "}" {
            return found;
        }
        rest = rest.strip_prefix(',').expect("a comma");
    }
}

/// Parses the whole page strictly: HELP, TYPE, then samples of that family, each series once.
fn parse(text: &str) -> Samples {
    assert!(text.ends_with('\n'));
    let (mut family, mut kind, mut families, mut samples) =
        (String::new(), String::new(), HashSet::new(), Samples::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("a help text");
            assert!(is_name(name) && !help.is_empty(), "{line}");
            assert!(families.insert(name.to_string()), "{name} is there twice");
            family = name.to_string();
            let line = lines.next().expect("a TYPE line");
            kind = line.strip_prefix(&format!("# TYPE {name} ")).expect("its TYPE").to_string();
            assert!(["counter", "gauge", "histogram"].contains(&kind.as_str()), "{kind}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let (name, of) = series.find('{').map_or((series, ""), |at| series.split_at(at));
        match kind.as_str() {
            "histogram" => {
                assert!(["_bucket", "_sum", "_count"].iter().any(|end| name == format!("{family}{end}")))
            }
            _ => assert_eq!(name, family),
        }
        if !of.is_empty() {
            let keys: HashSet<_> = labels(of).into_iter().map(|(name, _)| name).collect();
            assert_eq!(keys.len(), labels(of).len(), "a label is there twice: {line}");
        }
        let value: f64 = value.parse().expect("a number");
        assert!(samples.insert(series.to_string(), value).is_none(), "{series} is there twice");
    }
    samples
}

fn name(text: &str) -> Arc<str> {
    Arc::from(text)
}

/// The value of a series, by its name and labels as written.
fn value(samples: &Samples, series: &str) -> f64 {
    *samples.get(series).unwrap_or_else(|| panic!("{series} is not there"))
}

#[test]
fn workers_are_added_up() {
    let counters = Counters::new();
    for add in [1, 10] {
        let worker = counters.worker();
        let listener = worker.listener(&name("web"), "http");
        listener.opened.add(3 * add);
        listener.closed.add(add);
        listener.bytes_in.add(100 * add);
        listener.bytes_out.add(1000 * add);
        listener.requests.add(2);
        listener.tunnels_begun.add(2);
        listener.tunnel_ended(None);
        listener.duration.observe(Duration::from_millis(2));
        listener.duration.observe(Duration::from_secs(100));
        let raw = worker.listener(&name("raw"), "tcp");
        raw.opened.add(2 * add);
        raw.closed.add(add);
        let upstream = worker.upstream(&name("api"));
        upstream.opened.add(add);
        upstream.reused.add(2 * add);
        upstream.failed.add(3 * add);
        worker.local_reply(Reason::NoRule);
        worker.rule(&name("web"), &name("all")).exchange("GET", 200);
    }
    let samples = parse(&counters.render(None));
    for (series, expected) in [
        ("tcp_connections_active_count", 11.0),
        ("tcp_connections_total_count", 22.0),
        ("http_request_total_count", 4.0),
        ("http_request_time_avg_milliseconds", 50_001.0),
        ("smolgate_requests_total{listener=\"web\",rule=\"all\",method=\"GET\",code=\"200\"}", 2.0),
        ("smolgate_request_duration_seconds_bucket{listener=\"web\",le=\"0.001\"}", 0.0),
        ("smolgate_request_duration_seconds_bucket{listener=\"web\",le=\"0.0025\"}", 2.0),
        ("smolgate_request_duration_seconds_bucket{listener=\"web\",le=\"60\"}", 2.0),
        ("smolgate_request_duration_seconds_bucket{listener=\"web\",le=\"+Inf\"}", 4.0),
        ("smolgate_request_duration_seconds_count{listener=\"web\"}", 4.0),
        ("smolgate_request_duration_seconds_sum{listener=\"web\"}", 200.004),
        ("smolgate_bytes_received_total{listener=\"web\"}", 1_100.0),
        ("smolgate_bytes_sent_total{listener=\"web\"}", 11_000.0),
        ("smolgate_connections_open{listener=\"web\"}", 22.0),
        ("smolgate_connections_open{listener=\"raw\"}", 11.0),
        ("smolgate_connections_total{listener=\"web\"}", 33.0),
        ("smolgate_tunnels_open{listener=\"web\"}", 2.0),
        ("smolgate_tunnels_ended_total{listener=\"web\",result=\"ok\"}", 2.0),
        ("smolgate_tunnels_ended_total{listener=\"web\",result=\"tunnel_idle\"}", 0.0),
        ("smolgate_upstream_connections_opened_total{upstream=\"api\"}", 11.0),
        ("smolgate_upstream_connections_reused_total{upstream=\"api\"}", 22.0),
        ("smolgate_upstream_connections_failed_total{upstream=\"api\"}", 33.0),
        ("smolgate_local_replies_total{reason=\"no_rule\"}", 2.0),
    ] {
        assert_eq!(value(&samples, series), expected, "{series}");
    }
    // A TCP listener has no exchanges. An empty histogram would suggest that it could have some.
    assert!(!samples.keys().any(|series| series.contains("duration") && series.contains("raw")));
    for reason in Reason::ALL {
        value(&samples, &format!("smolgate_local_replies_total{{reason=\"{}\"}}", reason.code()));
    }
}

#[test]
fn buckets_hold_their_bounds_and_never_fall() {
    let counters = Counters::new();
    let listener = counters.worker().listener(&name("web"), "http");
    for bound in Histogram::BOUNDS {
        listener.duration.observe(Duration::from_nanos(bound));
        listener.duration.observe(Duration::from_nanos(bound + 1));
    }
    listener.duration.observe(Duration::MAX);
    let samples = parse(&counters.render(None));
    for (index, bound) in Histogram::BOUNDS.iter().enumerate() {
        let series = format!(
            "smolgate_request_duration_seconds_bucket{{listener=\"web\",le=\"{}\"}}",
            *bound as f64 / 1e9
        );
        assert_eq!(value(&samples, &series), 2.0 * index as f64 + 1.0, "{series}");
    }
}

#[test]
fn an_empty_page_is_valid_and_has_every_reason() {
    let counters = Counters::new();
    let samples = parse(&counters.render(None));
    assert_eq!(value(&samples, "http_request_time_avg_milliseconds"), 0.0);
    assert_eq!(value(&samples, "smolgate_config_last_reload_success"), 0.0);
    let own = samples.keys().filter(|series| series.starts_with("smolgate_local_replies_total")).count();
    assert_eq!(own, Reason::ALL.len());
}

#[test]
fn reloads_and_generation() {
    let counters = Counters::new();
    counters.set_generation(1);
    counters.reload(false);
    counters.reload(false);
    let samples = parse(&counters.render(None));
    assert_eq!(value(&samples, "smolgate_reloads_total{result=\"failed\"}"), 2.0);
    assert_eq!(value(&samples, "smolgate_reloads_total{result=\"ok\"}"), 0.0);
    assert_eq!(value(&samples, "smolgate_config_last_reload_success"), 0.0);
    assert!(value(&samples, "smolgate_config_last_reload_success_timestamp_seconds") > 1e9);
    counters.reload(true);
    counters.set_generation(2);
    let samples = parse(&counters.render(None));
    assert_eq!(value(&samples, "smolgate_config_last_reload_success"), 1.0);
    assert_eq!(value(&samples, "smolgate_config_generation"), 2.0);
    assert_eq!(
        value(&samples, &format!("smolgate_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))),
        1.0
    );
}

#[test]
fn labels_are_escaped() {
    let odd = "a\"b\\c\nd,e=}é";
    let counters = Counters::new();
    let worker = counters.worker();
    worker.rule(&name("web"), &name(odd)).exchange("GET", 200);
    let samples = parse(&counters.render(None));
    let series = samples.keys().find(|series| series.starts_with("smolgate_requests_total")).unwrap();
    assert_eq!(labels(&series["smolgate_requests_total".len()..])[1], ("rule".to_string(), odd.to_string()));
}

#[test]
fn an_upstream_with_many_codes_makes_few_series() {
    let counters = Counters::new();
    let rule = counters.worker().rule(&name("web"), &name("all"));
    for method in ["GET", "POST", OTHER] {
        for code in 100..1000 {
            rule.exchange(method, code);
        }
    }
    let samples = parse(&counters.render(None));
    let series: Vec<_> =
        samples.iter().filter(|(series, _)| series.starts_with("smolgate_requests_total")).collect();
    assert_eq!(series.len(), RULE_SERIES_MAX + 1);
    assert_eq!(series.iter().map(|(_, count)| **count).sum::<f64>(), 2_700.0);
    let rest = "smolgate_requests_total{listener=\"web\",rule=\"all\",method=\"other\",code=\"other\"}";
    assert_eq!(value(&samples, rest), 2_700.0 - RULE_SERIES_MAX as f64);
}

#[test]
fn rules_that_come_and_go_cannot_make_series_without_end() {
    let counters = Counters::new();
    let workers = [counters.worker(), counters.worker()];
    let made = SERIES_MAX + 500;
    for index in 0..made {
        for worker in &workers {
            worker.rule(&name("web"), &name(&format!("rule-{index}"))).exchange("GET", 200);
        }
    }
    let samples = parse(&counters.render(None));
    let series = samples.keys().filter(|series| series.starts_with("smolgate_requests_total")).count();
    assert_eq!(series, SERIES_MAX + 1);
    let rest = "smolgate_requests_total{listener=\"web\",rule=\"other\",method=\"other\",code=\"other\"}";
    assert_eq!(value(&samples, rest), 2.0 * 500.0);
}

#[test]
fn names_are_bounded_and_a_name_keeps_its_counters() {
    let counters = Counters::new();
    let worker = counters.worker();
    for index in 0..NAMES_MAX + 10 {
        worker.upstream(&name(&format!("u{index}"))).opened.add(1);
        worker.upstream(&name(&format!("u{index}"))).opened.add(1);
    }
    let samples = parse(&counters.render(None));
    assert_eq!(value(&samples, "smolgate_upstream_connections_opened_total{upstream=\"u7\"}"), 2.0);
    assert_eq!(value(&samples, "smolgate_upstream_connections_opened_total{upstream=\"other\"}"), 20.0);
}

#[test]
fn process_figures_are_shown_if_they_are_known() {
    let figures = ProcessStats {
        cpu_seconds: 1.25,
        resident_bytes: 4096,
        virtual_bytes: 8192,
        open_fds: 7,
        max_fds: Some(1024),
        threads: 4,
        start: 1_700_000_000.5,
    };
    let samples = parse(&Counters::new().render(Some(&figures)));
    assert_eq!(value(&samples, "process_cpu_seconds_total"), 1.25);
    assert_eq!(value(&samples, "process_max_fds"), 1024.0);
    assert_eq!(value(&samples, "process_start_time_seconds"), 1_700_000_000.5);
    let unlimited = ProcessStats { max_fds: None, ..figures };
    assert!(!Counters::new().render(Some(&unlimited)).contains("process_max_fds"));
}
