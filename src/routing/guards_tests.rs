//! Tests of the guards against the naive scan, and against servers that read paths in their own ways.

use proptest::prelude::*;

use super::tests::{only, request, rule};
use super::{Guards, RuleTable, explain, explain_guard};
use crate::config::plan::{Action, Limits, Proxy, Respond, Rule, UpstreamId};
use crate::http::Template;
use crate::http::{has_dot_segments, match_path};

/// Returns `rule` with an action that drops its requests.
fn dropping(rule: Rule) -> Rule {
    Rule { action: Action::Drop, ..rule }
}

/// Returns `rule` with an action that strips its prefix and sends the rest to a target.
fn stripping(rule: Rule) -> Rule {
    let proxy = Proxy {
        upstream: UpstreamId(0),
        pass_host: false,
        strip_path_prefix: true,
        rewrite: None,
        buffer_request: None,
        limits: Limits::default(),
    };
    Rule { action: Action::Proxy(proxy), ..rule }
}

/// Looks up a guard in the table and by the scan, and asserts that they agree. `None` where a guard takes the
/// path as it is written.
fn find_guard(rules: &[Rule], host: &str, path: &str, method: &str) -> Option<usize> {
    let path = path.as_bytes();
    let written = match_path(path);
    let request = request(host.as_bytes(), &written, method.as_bytes());
    let table = RuleTable::build(rules);
    let matched = table.find(&request).unwrap_or(rules.len());
    if rules.get(matched).is_some_and(Rule::guards) {
        return None;
    }
    let nothing = rule(&[], "/", &[]);
    let taker = (matched, rules.get(matched).unwrap_or(&nothing));
    let find = |guards: Guards| guards.find(&table, taker, path, &request);
    let found = Guards::build(rules).and_then(find);
    assert_eq!(found, explain_guard(rules, matched, path, &request));
    found
}

#[test]
fn a_guarded_path_is_known_in_every_way_to_write_it() {
    let rules = [
        rule(&[], "/a", &[]),
        dropping(rule(&["h"], "/x/y", &[])),
        dropping(rule(&[], "/z%2f%e4", &["PUT"])),
    ];
    for path in [
        "//x/y",
        "/x//y/z",
        "/%2fx/y",
        "/x%2fy",
        "/x\\y",
        "/x;a/y",
        "/%78/y;b",
        "/%252fx/y",
        "/x/y%20",
        "/x/%c0%ae/y",
        "/x/y%23/b",
        "//x%252fy",
        "//b/x/y",
        "/\\b/x/y",
        "//b%2fc/x/y",
        "//x/y/%252e%252e",
    ] {
        assert_eq!(find_guard(&rules, "h", path, "GET"), Some(1), "{path}");
        assert_eq!(find_guard(&rules, "other", path, "GET"), None, "{path}");
    }
    for path in ["/x/y", "//x", "/x/yz//", "/a%2Fx/y", "/X//y", "/b//x/y", "/x/%2ey//", "/x%20b/y"] {
        assert_eq!(find_guard(&rules, "h", path, "GET"), None, "{path}");
    }
    assert_eq!(find_guard(&rules, "h", "/z/%E4", "PUT"), Some(2));
    assert_eq!(find_guard(&rules, "h", "/z/%E4", "GET"), None);
}

#[test]
fn the_first_rule_that_matches_a_reading_decides() {
    let rules = [
        rule(&["h"], "/x/public", &[]),
        rule(&[], "/", &["POST"]),
        rule(&[], "/x%2fz", &[]),
        dropping(rule(&[], "/x", &[])),
        rule(&[], "/x/late", &[]),
        rule(&[], "/", &[]),
    ];
    // A rule before the guard takes all readings.
    for path in
        ["/x/public//b", "/x/public/b%2fc", "//x/public/b", "/x%2fpublic/b", "//b/x/public", "/x%2fz//"]
    {
        assert_eq!(find_guard(&rules, "h", path, "GET"), None, "{path}");
        assert_eq!(find_guard(&rules, "h", path, "POST"), None, "{path}");
    }
    // Another reading is not under the path of that rule.
    for path in [
        "//x//public",
        "/%2fx/public%2fb",
        "/x%23/public",
        "/x;/public/b",
        "//x/public;b",
        "/x%2fpublic%5cb",
        "//x/pub%20lic",
        "//x/late",
        "/x/public/%252e%252e/b",
        "/b/%252e%252e/x/public",
    ] {
        assert_eq!(find_guard(&rules, "h", path, "GET"), Some(3), "{path}");
        assert_eq!(find_guard(&rules, "h", path, "POST"), None, "{path}");
    }
    assert_eq!(find_guard(&rules, "other", "//x/public", "GET"), Some(3));
}

#[test]
fn a_guard_behind_a_glob_counts_for_what_the_glob_does_not_take() {
    let rules = [
        only(rule(&[], "/", &[]), &["path **x"]),
        dropping(rule(&[], "/x", &[])),
        only(rule(&[], "/", &[]), &["path **z"]),
    ];
    for path in ["//x/y;/x", "/%78/y%2f;x", "/x;/x", "//x/y;/z"] {
        assert_eq!(find_guard(&rules, "", path, "GET"), Some(1), "{path}");
    }
    for path in ["/y;/x", "/y/%2fx", "/x/x"] {
        assert_eq!(find_guard(&rules, "", path, "GET"), None, "{path}");
    }
    // A prefix takes all readings of its path before the guard.
    let rules = [rule(&[], "/x", &[]), dropping(rule(&[], "/x/y", &[]))];
    assert_eq!(find_guard(&rules, "", "/x//y;/x", "GET"), None);
}

#[test]
fn a_target_reads_what_is_left_behind_a_stripped_prefix() {
    let rules = [
        stripping(rule(&[], "/app/public", &[])),
        dropping(rule(&[], "/app/admin", &[])),
        dropping(rule(&[], "/a%2fb/admin", &[])),
        stripping(rule(&[], "/app", &[])),
        stripping(rule(&[], "/a%2fb", &[])),
        dropping(rule(&[], "/admin", &[])),
        rule(&[], "/", &[]),
    ];
    for path in [
        "/app//x/admin",
        "/app///x/admin",
        "/app/\\x/admin",
        "/app/%2fx/admin",
        "/%61pp//x/admin",
        "/app//x:/admin",
        "/app//admin",
        "/app/x/%252e%252e/admin",
    ] {
        assert_eq!(find_guard(&rules, "", path, "GET"), Some(1), "{path}");
    }
    assert_eq!(find_guard(&rules, "", "/a%2fb//x/admin", "GET"), Some(2));
    assert_eq!(find_guard(&rules, "", "/a%2fb/%61dmin%20", "GET"), Some(2));
    for path in ["/app//x/b", "/app/x//admin", "/app/public//x/admin", "/a%2fb/x", "/app//public/x"] {
        assert_eq!(find_guard(&rules, "", path, "GET"), None, "{path}");
    }
}

#[test]
fn only_what_refuses_below_a_path_guards_it() {
    let respond = |status| {
        Action::Respond(Respond { status, headers: Vec::new(), body: Template::literal(""), page: None })
    };
    for (status, guards) in [(200, false), (399, false), (400, true), (403, true), (499, true), (503, false)]
    {
        let rules = [Rule { action: respond(status), ..rule(&[], "/x", &[]) }];
        assert_eq!(find_guard(&rules, "", "//x", "GET").is_some(), guards, "{status}");
    }
    assert!(Guards::build(&[rule(&[], "/x", &[]), dropping(rule(&["h"], "/", &["PUT"]))]).is_none());
}

#[test]
fn a_guard_with_conditions_guards_for_the_requests_that_it_takes() {
    let rules = [
        only(rule(&[], "/x", &[]), &["from 10.0.0.0/8"]),
        only(dropping(rule(&[], "/x", &[])), &["from 127.0.0.0/8"]),
        only(dropping(rule(&[], "/y", &[])), &["not_from 127.0.0.0/8"]),
        only(rule(&[], "/", &[]), &["path /z/*"]),
        only(dropping(rule(&[], "/", &[])), &["path /z/*.php", "path /w%2f/v/*"]),
        rule(&[], "/", &[]),
    ];
    // The clients of the first rule reach `/x`, and this client is none of them.
    assert_eq!(find_guard(&rules, "", "//x", "GET"), Some(1));
    assert_eq!(find_guard(&rules, "", "//y", "GET"), None);
    // Each path that some server may read below the literal prefix of a glob, though the glob may not match it. The rule
    // before it takes no reading.
    for path in ["//z/a.php", "/z//", "/z;a/b", "/z%2fb/c", "/w/v/x", "//w//v//x"] {
        let expected = (!path.starts_with("/w/")).then_some(4);
        assert_eq!(find_guard(&rules, "", path, "GET"), expected, "{path}");
    }
    // So does the rule that takes the path as it is written, if it has a glob.
    assert_eq!(find_guard(&rules, "", "/z/a%20b.php", "GET"), Some(4));
    // A glob that begins with a star guards every path.
    let rules = [only(dropping(rule(&[], "/", &[])), &["path **.php"]), rule(&[], "/", &[])];
    assert_eq!(find_guard(&rules, "", "/a;b", "GET"), Some(0));
    assert_eq!(find_guard(&rules, "", "/a/b", "GET"), None);
}

/// A server with its own way to read paths. It cuts and replaces bytes before or after it decodes the path.
#[derive(Clone, Copy, Debug)]
struct Server {
    decodes: usize,
    decodes_first: bool,
    takes_backslashes: bool,
    takes_hosts: bool,
    cuts: Option<Cut>,
    blanks: Option<Cut>,
    folds_slashes: bool,
    resolves_dots: bool,
}

/// How much of a path is ignored.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    /// The byte; for those that separate parameters, the rest of the segment.
    Little,
    /// The rest of the path.
    All,
}

impl Server {
    fn all() -> Vec<Server> {
        let cuts = [None, Some(Cut::Little), Some(Cut::All)];
        let mut all = Vec::new();
        for decodes in 0..=3 {
            for bits in 0..1 << 5 {
                let bit = |at: usize| bits >> at & 1 == 1;
                let [decodes_first, takes_backslashes, takes_hosts] = [bit(0), bit(1), bit(2)];
                let [folds_slashes, resolves_dots] = [bit(3), bit(4)];
                for (cuts, blanks) in cuts.iter().flat_map(|&cut| cuts.map(|blanks| (cut, blanks))) {
                    all.push(Server {
                        decodes,
                        decodes_first,
                        takes_backslashes,
                        takes_hosts,
                        cuts,
                        blanks,
                        folds_slashes,
                        resolves_dots,
                    });
                }
            }
        }
        all
    }

    fn read(self, path: &[u8]) -> Vec<u8> {
        let mut path = match_path(path).into_owned();
        if !self.decodes_first {
            path = self.cut(path);
        }
        for _ in 0..self.decodes {
            path = decode_once(&path);
        }
        if self.decodes_first {
            path = self.cut(path);
        }
        let mut segments: Vec<&[u8]> = Vec::new();
        for segment in path.split(|byte| *byte == b'/').skip(1) {
            match segment {
                b"" if self.folds_slashes => {}
                b"." if self.resolves_dots => {}
                b".." if self.resolves_dots => drop(segments.pop()),
                _ => segments.push(segment),
            }
        }
        [b"/", segments.join(&b'/').as_slice()].concat()
    }

    fn cut(self, mut path: Vec<u8>) -> Vec<u8> {
        if self.takes_backslashes {
            path.iter_mut().filter(|byte| **byte == b'\\').for_each(|byte| *byte = b'/');
        }
        let is_blank = |byte: &u8| (1..=0x20).contains(byte) || *byte == 0x7f;
        match self.blanks {
            Some(Cut::Little) => path.retain(|byte| !is_blank(byte)),
            Some(Cut::All) => path.truncate(path.iter().position(is_blank).unwrap_or(path.len())),
            None => {}
        }
        let ends = |byte: &u8| b";?#\0".contains(byte);
        match self.cuts {
            Some(Cut::Little) => {
                let segments = path.split(|byte| *byte == b'/');
                let kept: Vec<&[u8]> = segments.map(|segment| segment.split(ends).next().unwrap()).collect();
                path = kept.join(&b'/');
            }
            Some(Cut::All) => path.truncate(path.iter().position(ends).unwrap_or(path.len())),
            None => {}
        }
        if self.takes_hosts && path.starts_with(b"//") {
            let host = path[2..].iter().position(|byte| *byte == b'/').map_or(path.len(), |at| at + 2);
            path = if host == path.len() { b"/".to_vec() } else { path.split_off(host) };
        }
        path
    }
}

/// Decodes one level of escapes, then overlong UTF-8.
fn decode_once(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = path;
    while let Some((&byte, behind)) = rest.split_first() {
        let escape = rest.get(1..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let escape = escape.filter(|_| byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escape.unwrap_or(byte));
        rest = if escape.is_some() { &rest[3..] } else { behind };
    }
    let text = decoded.iter().map(|byte| char::from(*byte)).collect::<String>();
    let text = text.replace("\u{c0}\u{af}", "/").replace("\u{c0}\u{ae}", ".");
    text.chars().map(|char| u8::try_from(u32::from(char)).unwrap()).collect()
}

/// A server that reads the path as one that a guard is the first rule to take, and what it reads. If the rule
/// at `matched` strips its prefix, the server gets and reads the rest.
fn some_server_meets_a_guard(
    servers: &[Server],
    rules: &[Rule],
    matched: usize,
    path: &[u8],
) -> Option<(Server, Vec<u8>)> {
    let stripped = rules[matched].stripped_prefix();
    // Prefixes here are unreserved bytes.
    let written = match_path(path);
    let sent = written.strip_prefix(stripped.as_bytes()).expect("the rule took the path by its prefix");
    servers.iter().find_map(|server| {
        let read = [stripped.as_bytes(), &server.read(sent)].concat();
        let first = explain(rules, &request(b"", &read, b"GET")).winner?;
        rules[first].guards().then_some((*server, read))
    })
}

const PREFIXES: [&str; 7] = ["/x", "/y", "/x/y", "/x/x", "/y/x", "/x/y/x", "/"];

fn some_rules() -> impl Strategy<Value = Vec<Rule>> {
    let act = prop::sample::select(vec![dropping, stripping, |rule| rule]);
    let prefixed = (prop::sample::select(&PREFIXES[..]), act, any::<bool>());
    let prefixed =
        prefixed.prop_map(|(prefix, act, posts)| act(rule(&[], prefix, if posts { &["POST"] } else { &[] })));
    let conditions = prop::sample::select(vec![
        &["path /x/*"][..],
        &["path /x/**"],
        &["path /*/y"],
        &["path /x"],
        &["path **x"],
        &["path /y/x*", "path /x/x"],
        &["from 127.0.0.0/8"],
        &["from 10.0.0.0/8"],
    ]);
    let act = prop::sample::select(vec![dropping, |rule| rule]);
    let conditional = (conditions, act).prop_map(|(conditions, act)| {
        let prefix = if conditions[0].starts_with("from") { "/x" } else { "/" };
        only(act(rule(&[], prefix, &[])), conditions)
    });
    let some_rule = prop_oneof![2 => prefixed, 1 => conditional];
    // The last rule sends to a target what the others leave.
    prop::collection::vec(some_rule, 1..5).prop_map(|mut rules| {
        rules.push(rule(&[], "/", &[]));
        rules
    })
}

fn some_path() -> impl Strategy<Value = String> {
    let plain = prop::sample::select(vec!["x", "y", "/", "/x", "/y", "/x/y"]);
    let odd = prop::sample::select(vec![
        "//",
        "%2f",
        "%5c",
        "\\",
        ";",
        "%3b",
        "%23",
        "%3f",
        "%00",
        "%20",
        "%0a",
        "%78",
        "%2578",
        "%252f",
        "%25252f",
        "%255c",
        "%253b",
        ".",
        "..",
        "%2e",
        "%252e",
        "/%252e%252e/",
        "/.%252e",
        "%25",
        "%c0%af",
        "/%c0%ae%c0%ae",
        "%25252e%25252e",
        "%09",
        "%40",
    ]);
    prop::collection::vec(prop_oneof![3 => plain, 2 => odd], 1..8)
        .prop_map(|parts| format!("/{}", parts.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, max_global_rejects: 100_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Tries 1,152 servers on each path.
    #[test]
    fn no_server_reads_a_guarded_path_that_is_not_found(rules in some_rules(), path in some_path()) {
        let matched = explain(&rules, &request(b"", &match_path(path.as_bytes()), b"GET")).winner.unwrap();
        prop_assume!(!has_dot_segments(path.as_bytes()) && !rules[matched].guards());
        let found = find_guard(&rules, "", &path, "GET");
        if let Some((server, read)) = some_server_meets_a_guard(&Server::all(), &rules, matched, path.as_bytes()) {
            prop_assert!(found.is_some(), "{} is {} to {:?}", path, read.escape_ascii(), server);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_guards_are_those_of_the_naive_scan(rules in some_rules(), path in some_path()) {
        for method in ["GET", "POST"] {
            find_guard(&rules, "", &path, method);
        }
    }
}
