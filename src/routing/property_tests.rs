//! A property of the index: it finds the rule that a scan of all rules finds, with every kind of condition.

use proptest::prelude::*;

use super::RequestView;
use super::tests::{find_head, find_request, only, rule};
use crate::config::plan::Rule;

// The alphabets are small, so that rules overlap and requests hit them.
fn host() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "a.c", "b.c", "ab.c", "a.b.c", "c", "b.a.c"]).prop_map(str::to_owned)
}

fn pattern() -> impl Strategy<Value = String> {
    let stars = prop::sample::select(vec!["*.", "**.", "a*.", "*b.", "*.*.", "a.*.", "*.b."]);
    let open =
        prop::sample::select(vec!["*.**", "a*.**", "*.*.**", "a.**", "*.b.**"]).prop_map(str::to_owned);
    prop_oneof![2 => host(), 2 => (stars, host()).prop_map(|(stars, host)| format!("{stars}{host}")), 1 => open]
}

fn prefix() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["x", "y", "xy"]), 0..3)
        .prop_map(|segments| format!("/{}", segments.join("/")))
}

fn path() -> impl Strategy<Value = String> {
    let segments = prop::collection::vec(prop::sample::select(vec!["x", "y", "xy", ""]), 0..4);
    prop_oneof![
        9 => segments.prop_map(|segments| format!("/{}", segments.join("/"))),
        1 => Just("*".to_owned()),
    ]
}

const GLOBS: [&str; 8] =
    ["path /x", "path /x/*", "path /x/**", "path **y", "path /*/y", "path /x*", "path /xy/x/", "path /**"];
const EXPRESSIONS: [&str; 5] =
    ["path_regex ^/x/", "path_regex ^/x/y$", "path_regex y", "path_regex ^/xy?/(x|y)", "path_regex ^/?$"];
const OTHERS: [&str; 12] = [
    "from 10.0.0.0/8",
    "from 10.1.0.0/16",
    "not_from 10.1.0.0/16",
    "header x-a: 1",
    "header x-a: 1|2*",
    "cookie c: *",
    "cookie c: 1",
    "query q: 1*",
    "query r: *",
    "share 50% by client",
    "share 50% by cookie.c",
    "share 20% by header.x-a",
];

fn some_rule() -> impl Strategy<Value = Rule> {
    let methods = prop::sample::subsequence(vec!["GET", "POST", "PUT"], 0..=2);
    let patterns = |all: &[&'static str]| prop::sample::subsequence(all.to_vec(), 1..=2);
    let globs = prop_oneof![6 => Just(Vec::new()), 2 => patterns(&GLOBS), 1 => patterns(&EXPRESSIONS)];
    let others = prop_oneof![2 => Just(Vec::new()), 1 => prop::sample::subsequence(OTHERS.to_vec(), 1..=2)];
    let parts = (prop::collection::vec(pattern(), 0..3), prefix(), methods, globs, others);
    parts.prop_map(|(hosts, prefix, methods, globs, others)| {
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let prefix = if globs.is_empty() { prefix.as_str() } else { "/" };
        only(rule(&hosts, prefix, &methods), &[globs, others].concat())
    })
}

/// The lines of a head after the request line and `Host`.
fn lines() -> impl Strategy<Value = String> {
    let lines = vec!["x-a: 1", "X-A: 23", "x-a: 3", "cookie: c=1", "Cookie: b=1; c=2"];
    prop::sample::subsequence(lines, 0..=3)
        .prop_map(|lines| lines.iter().map(|line| format!("\n{line}")).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The helpers compare the table with the scan.
    #[test]
    fn the_table_equals_the_naive_scan(
        rules in prop::collection::vec(some_rule(), 0..12),
        host in host(),
        path in path(),
        method in prop::sample::select(vec!["GET", "POST", "OPTIONS"]),
        client in prop::sample::select(vec!["10.0.0.1", "10.1.0.1", "192.0.2.1", "::1"]),
        query in prop::sample::select(vec!["", "?q=1", "?q=2&r", "?%71=12"]),
        lines in lines(),
    ) {
        if path == "*" {
            let request = RequestView { path: b"*", method: b"OPTIONS", ..RequestView::of_name(host.as_bytes(), client.parse().unwrap()) };
            find_request(&rules, &request);
            find_request(&rules, &RequestView { host: b"", ..request });
        } else {
            find_head(&rules, client, &format!("{method} {path}{query} HTTP/1.1\nHost: {host}{lines}"));
        }
        find_request(&rules, &RequestView { path: path.as_bytes(), is_reading: true, ..RequestView::of_name(host.as_bytes(), client.parse().unwrap()) });
    }
}
