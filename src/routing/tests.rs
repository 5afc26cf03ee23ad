//! Tests of the index against the naive scan, and of the matching rules one by one.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Guards, RuleTable, explain};
use crate::config::plan::{Action, HostPattern, Origin, Redirect, Rule};

/// A rule that matches `hosts` (`*.` in front makes a wildcard), `path_prefix` and `methods`.
pub(crate) fn rule(hosts: &[&str], path_prefix: &str, methods: &[&str]) -> Rule {
    let pattern = |host: &&str| match host.strip_prefix("*.") {
        Some(suffix) => HostPattern::Wildcard(suffix.into()),
        None => HostPattern::Exact((*host).into()),
    };
    Rule {
        name: "rule".into(),
        origin: Origin { file: "smolgate.yml".into(), line: 1, column: 1 },
        hosts: hosts.iter().map(pattern).collect(),
        path_prefix: path_prefix.into(),
        methods: methods.iter().map(|&method| Arc::from(method)).collect(),
        in_the_clear: false,
        access_log: true,
        action: Action::Redirect(Redirect { to: "https://example.com".into(), status: 301 }),
    }
}

/// Looks up a rule in the table and by the scan, and asserts that they agree.
fn find(rules: &[Rule], host: &str, path: &str, method: &str) -> Option<usize> {
    let (host, path, method) = (host.as_bytes(), path.as_bytes(), method.as_bytes());
    let found = RuleTable::build(rules).find(host, path, method);
    assert_eq!(found, explain(rules, host, path, method).winner);
    found
}

#[test]
fn a_path_prefix_is_whole_segments() {
    let rules = [rule(&[], "/users", &[]), rule(&[], "/a/b", &[])];
    for path in ["/users", "/users/", "/users/7", "/users//7"] {
        assert_eq!(find(&rules, "", path, "GET"), Some(0), "{path}");
    }
    for path in ["/a/b", "/a/b/c"] {
        assert_eq!(find(&rules, "", path, "GET"), Some(1), "{path}");
    }
    for path in ["/usersx", "/user", "/", "//users", "/a", "/a/", "/a/bc", "*", "users", ""] {
        assert_eq!(find(&rules, "", path, "GET"), None, "{path}");
    }
}

#[test]
fn the_root_takes_every_path_and_the_asterisk() {
    let rules = [rule(&[], "/", &[])];
    for path in ["/", "/x", "//", "*", ""] {
        assert_eq!(find(&rules, "any.host", path, "OPTIONS"), Some(0), "{path}");
    }
}

#[test]
fn a_wildcard_is_exactly_one_label() {
    let rules = [rule(&["*.example.com"], "/", &[])];
    assert_eq!(find(&rules, "www.example.com", "/", "GET"), Some(0));
    for host in ["example.com", ".example.com", "a.b.example.com", "xexample.com", "com", "", ".", "www."] {
        assert_eq!(find(&rules, host, "/", "GET"), None, "{host}");
    }
}

#[test]
fn written_order_decides_between_buckets() {
    let any = rule(&[], "/", &[]);
    let wild = rule(&["*.example.com"], "/", &[]);
    let exact = rule(&["www.example.com"], "/", &[]);
    let orders = [
        [any.clone(), wild.clone(), exact.clone()],
        [wild.clone(), exact.clone(), any.clone()],
        [exact, any, wild],
    ];
    for rules in orders {
        assert_eq!(find(&rules, "www.example.com", "/", "GET"), Some(0));
    }
}

#[test]
fn a_short_prefix_before_a_long_one_wins() {
    let rules = [rule(&["h"], "/a", &[]), rule(&["h"], "/a/b", &[]), rule(&["h"], "/", &[])];
    assert_eq!(find(&rules, "h", "/a/b", "GET"), Some(0));
    assert_eq!(find(&rules, "h", "/", "GET"), Some(2));
}

#[test]
fn methods_are_case_sensitive_and_fall_through() {
    let rules = [rule(&[], "/", &["GET", "HEAD"]), rule(&[], "/", &["POST"]), rule(&["h"], "/", &[])];
    assert_eq!(find(&rules, "", "/", "HEAD"), Some(0));
    assert_eq!(find(&rules, "", "/", "POST"), Some(1));
    assert_eq!(find(&rules, "", "/", "get"), None);
    assert_eq!(find(&rules, "h", "/", "get"), Some(2));
}

#[test]
fn a_rule_that_names_a_host_twice_and_one_that_is_hidden_change_nothing() {
    let rules =
        [rule(&["h", "h", "*.h"], "/", &["GET"]), rule(&["h"], "/", &[]), rule(&["h"], "/", &["PUT"])];
    assert_eq!(find(&rules, "h", "/", "GET"), Some(0));
    assert_eq!(find(&rules, "h", "/", "PUT"), Some(1));
}

#[test]
fn no_rules_match_nothing() {
    assert_eq!(find(&[], "h", "/", "GET"), None);
}

#[test]
fn many_hosts_and_many_paths_each_find_their_own() {
    let mut rules: Vec<Rule> = (0..2_000).map(|n| rule(&[&format!("h{n}.example.com")], "/", &[])).collect();
    rules.extend((0..500).map(|n| rule(&["paths"], &format!("/v1/p{n}"), &[])));
    let table = RuleTable::build(&rules);
    for n in 0..2_000 {
        assert_eq!(table.find(format!("h{n}.example.com").as_bytes(), b"/x", b"GET"), Some(n));
    }
    for n in 0..500 {
        assert_eq!(table.find(b"paths", format!("/v1/p{n}/x").as_bytes(), b"GET"), Some(2_000 + n));
    }
    assert_eq!(table.find(b"paths", b"/v1/p500", b"GET"), None);
}

#[test]
fn workers_share_a_table() {
    fn shared<T: Send + Sync>() {}
    shared::<RuleTable>();
    shared::<Guards>();
}

// The alphabets are small, so that rules overlap and requests hit them.
fn host() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "a.c", "b.c", "a.b.c", "c", "b.a.c"]).prop_map(str::to_owned)
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![host(), host().prop_map(|host| format!("*.{host}"))]
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

fn some_rule() -> impl Strategy<Value = Rule> {
    let methods = prop::sample::subsequence(vec!["GET", "POST", "PUT"], 0..=2);
    let parts = (prop::collection::vec(pattern(), 0..3), prefix(), methods);
    parts.prop_map(|(hosts, prefix, methods)| {
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        rule(&hosts, &prefix, &methods)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_table_equals_the_naive_scan(
        rules in prop::collection::vec(some_rule(), 0..12),
        host in prop_oneof![9 => host(), 1 => Just(String::new())],
        path in path(),
        method in prop::sample::select(vec!["GET", "POST", "DELETE"]),
    ) {
        let (host, path, method) = (host.as_bytes(), path.as_bytes(), method.as_bytes());
        let found = RuleTable::build(&rules).find(host, path, method);
        prop_assert_eq!(found, explain(&rules, host, path, method).winner);
    }
}
