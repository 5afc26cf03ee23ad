//! Tests of the index against the naive scan, and of the matching rules one by one.

use std::sync::Arc;

use super::{Guards, RequestView, RuleTable, explain};
use crate::config::plan::{
    Action, Conditions, Location, NamedCondition, Networks, Origin, PathExpression, Redirect, Rule, Share,
};
use crate::config::values::{glob, pattern};
use crate::http::{FieldTable, HeadLimits, Template, match_path};
use crate::http1::{HeadScan, parse_request};

/// A rule that matches `hosts`, `path_prefix` and `methods`.
pub(crate) fn rule(hosts: &[&str], path_prefix: &str, methods: &[&str]) -> Rule {
    let pattern = |host: &&str| pattern::host(host).expect("a host");
    Rule {
        name: "rule".into(),
        origin: Origin { file: "smolgate.yml".into(), line: 1, column: 1 },
        hosts: hosts.iter().map(pattern).collect(),
        path_prefix: path_prefix.into(),
        methods: methods.iter().map(|&method| Arc::from(method)).collect(),
        conditions: None,
        in_the_clear: false,
        acme: true,
        access_log: true,
        headers: None,
        policies: None,
        action: Action::Redirect(Redirect {
            to: Location::new(Template::literal("https://example.com")),
            status: 301,
        }),
    }
}

/// Looks up a rule in the table and by the scan, and asserts that they agree.
fn find(rules: &[Rule], host: &str, path: &str, method: &str) -> Option<usize> {
    find_request(rules, &request(host.as_bytes(), path.as_bytes(), method.as_bytes()))
}

pub(super) fn find_request(rules: &[Rule], request: &RequestView<'_>) -> Option<usize> {
    let found = RuleTable::build(rules).find(request);
    assert_eq!(found, explain(rules, request).winner);
    found
}

/// A request of a client on this machine, without a query and without fields.
pub(crate) fn request<'a>(host: &'a [u8], path: &'a [u8], method: &'a [u8]) -> RequestView<'a> {
    RequestView { path, method, ..RequestView::of_name(host, [127, 0, 0, 1].into()) }
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
        assert_eq!(table.find(&request(format!("h{n}.example.com").as_bytes(), b"/x", b"GET")), Some(n));
    }
    for n in 0..500 {
        assert_eq!(table.find(&request(b"paths", format!("/v1/p{n}/x").as_bytes(), b"GET")), Some(2_000 + n));
    }
    assert_eq!(table.find(&request(b"paths", b"/v1/p500", b"GET")), None);
}

/// The rule with these conditions. Each is written as `from 10.0.0.0/8`, `path /a/*` or `header a: x*`.
pub(super) fn only(rule: Rule, conditions: &[&str]) -> Rule {
    let mut all = Conditions::default();
    let networks = |text: &str| Networks::new(&[text.parse().expect("a network")]);
    for condition in conditions {
        let (kind, text) = condition.split_once(' ').expect("a kind and a text");
        let named = || {
            let (name, values) = text.split_once(": ").expect("a name and values");
            let values = values.split('|').map(|value| glob::value(value).expect("a value")).collect();
            NamedCondition { name: name.into(), values }
        };
        match kind {
            "from" => all.from = networks(text),
            "not_from" => all.not_from = networks(text),
            "path" => all.paths.push(glob::path_glob(text).expect("a glob")),
            // Without its feature there are none.
            "path_regex" => all.expressions.extend(PathExpression::new(text)),
            "share" => {
                let (parts, by) = text.split_once(" by ").expect("a share and a key");
                let parts = glob::share(parts).expect("a share");
                let by = glob::share_key(by).expect("a key of clients");
                all.share = Some(Share { parts, by, salt: "rule".into() });
            }
            "header" => all.headers.push(named()),
            "cookie" => all.cookies.push(named()),
            "query" => all.query.push(named()),
            other => panic!("{other}"),
        }
    }
    let conditions = (all != Conditions::default()).then(|| Arc::new(all));
    Rule { conditions, ..rule }
}

/// Finds the rule of a head with these lines, from the address `client`.
pub(super) fn find_head(rules: &[Rule], client: &str, head: &str) -> Option<usize> {
    let bytes = format!("{}\r\n\r\n", head.replace('\n', "\r\n")).into_bytes();
    let (mut table, limits) = (FieldTable::new(), HeadLimits { bytes: 1_000, fields: 10, target: 100 });
    let head = parse_request(&bytes, &mut HeadScan::default(), &limits, &mut table);
    let head = head.expect("a valid head").expect("a whole head");
    let (host, path) = (head.host_key(), match_path(head.path));
    let host = host.as_ref().map_or(&b""[..], |host| host.as_bytes());
    find_request(rules, &RequestView::of(&head, host, &path, client.parse().expect("an address")))
}

#[test]
fn every_condition_must_hold() {
    let conditions = [
        "from 10.0.0.0/8",
        "not_from 10.1.0.0/16",
        "path /a/*",
        "header X-A: 1|2*",
        "cookie c: x",
        "query q: *",
    ];
    let rules = [only(rule(&["h"], "/", &["GET"]), &conditions)];
    let head = "GET /a/b?p=1&q HTTP/1.1\nHost: h\nx-a: 22\nCookie: b=y; c=x";
    assert_eq!(find_head(&rules, "10.0.0.1", head), Some(0));
    for client in ["10.1.0.1", "11.0.0.1", "::1"] {
        assert_eq!(find_head(&rules, client, head), None, "{client}");
    }
    for (written, other) in [
        ("GET", "PUT"),
        ("Host: h", "Host: i"),
        ("/a/b", "/a/b/c"),
        ("/a/b", "/b/b"),
        ("x-a: 22", "x-a: 12"),
        ("x-a: 22", "x-b: 22"),
        ("c=x", "c=xy"),
        ("c=x", "C=x"),
        ("&q", "&Q"),
        ("?p=1&q", ""),
    ] {
        assert_eq!(find_head(&rules, "10.0.0.1", &head.replace(written, other)), None, "{written} {other}");
    }
}

#[test]
fn values_are_compared_as_they_are_meant() {
    let rules = [
        only(rule(&[], "/", &[]), &["query a b: c&d"]),
        only(rule(&[], "/", &[]), &["cookie team: red|blue*"]),
        only(rule(&[], "/", &[]), &["header X-A: one"]),
    ];
    let find = |head: &str| find_head(&rules, "127.0.0.1", &format!("GET {head}"));
    assert_eq!(find("/?x&a+b=c%26d HTTP/1.1\nHost: h"), Some(0));
    assert_eq!(find("/?%61%20b=c%26d HTTP/1.1\nHost: h"), Some(0));
    assert_eq!(find("/?a+b=c%26 HTTP/1.1\nHost: h"), None);
    // Several lines of one name, and several values.
    assert_eq!(find("/ HTTP/1.1\nHost: h\nCookie: a=b\nCookie: x=y;team=bluebird"), Some(1));
    assert_eq!(find("/ HTTP/1.1\nHost: h\nCookie: xteam=red; team=redder"), None);
    assert_eq!(find("/ HTTP/1.1\nHost: h\nX-A: two\nX-A: one"), Some(2));
    assert_eq!(find("/ HTTP/1.1\nHost: h\nX-A: one, two"), None);
}

#[test]
fn stars_in_hosts_take_labels_and_parts_of_one() {
    let rules =
        [rule(&["cdn-*.a.b", "*-x.a.b"], "/", &[]), rule(&["*.a.b"], "/", &[]), rule(&["**.b"], "/", &[])];
    for (host, expected) in [
        ("cdn-1.a.b", Some(0)),
        ("cdn-.a.b", Some(0)),
        ("1-x.a.b", Some(0)),
        ("cdn.a.b", Some(1)),
        ("cdn-1.c.a.b", Some(2)),
        ("a.b", Some(2)),
        ("b", None),
        (".b", None),
        ("cdn-1.a.c", None),
    ] {
        assert_eq!(find(&rules, host, "/", "GET"), expected, "{host}");
    }
}

#[test]
fn a_rule_with_conditions_leaves_its_place_to_the_next() {
    let rules = [
        only(rule(&["h"], "/a", &[]), &["from 10.0.0.0/8"]),
        rule(&["h"], "/a", &["GET"]),
        only(rule(&["h"], "/", &[]), &["path /a/**.php", "path /b/*"]),
        rule(&[], "/a", &[]),
    ];
    let find = |client: &str, line: &str| find_head(&rules, client, &format!("{line} HTTP/1.1\nHost: h"));
    assert_eq!(find("10.0.0.1", "PUT /a/x"), Some(0));
    assert_eq!(find("11.0.0.1", "GET /a/x.php"), Some(1));
    assert_eq!(find("11.0.0.1", "PUT /a/x.php"), Some(2));
    assert_eq!(find("11.0.0.1", "PUT /b/x"), Some(2));
    assert_eq!(find("11.0.0.1", "PUT /a/x"), Some(3));
    assert_eq!(find("11.0.0.1", "PUT /b"), None);
}

#[test]
fn workers_share_a_table() {
    fn shared<T: Send + Sync>() {}
    shared::<RuleTable>();
    shared::<Guards>();
}
