//! Configurations and their results: golden files, round trips, broken text.
//!
//! A golden file has the plan as the view shows it, or the diagnostics. An input that names no file is
//! `smolgate.yml`.

mod support;

use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::prelude::*;
use smolgate::config::plan::{Origin, Plan, Secret};
use smolgate::config::{MemoryInputs, load, view};
use support::golden::{self, Golden};

fn golden_files() -> Vec<Golden> {
    golden::golden_files("config", 30)
}

/// The files of a golden file, with their common environment.
fn inputs(input: &str) -> (MemoryInputs, Vec<PathBuf>) {
    let memory = MemoryInputs::new()
        .env("API_HOST", "api.internal")
        .env("GATE_TOKEN", "sesame")
        .env("NOT_A_PORT", "sesame")
        .env("EMPTY", "")
        .file("secrets/token", "sesame\n");
    golden::in_memory(memory, input, "smolgate.yml")
}

fn outcome(input: &str) -> String {
    golden::outcome(inputs(input))
}

#[test]
fn golden_files_give_what_they_say() {
    golden::compare(&golden_files(), outcome);
}

/// The plan without what a view cannot show: places and the token.
fn without_origins(mut plan: Plan) -> Plan {
    let nowhere = Origin { file: "".into(), line: 0, column: 0 };
    plan.files.clear();
    plan.internal_api.token = plan.internal_api.token.map(|_| Secret("".into()));
    plan.access_log_origin = None;
    for upstream in &mut plan.upstreams {
        upstream.origin = nowhere.clone();
    }
    for listener in &mut plan.listeners {
        listener.origin = nowhere.clone();
        for tls in listener.tls.iter_mut() {
            let certificates = tls.certificates.iter_mut().chain(&mut tls.default_certificate);
            certificates.for_each(|certificate| certificate.origin = nowhere.clone());
        }
        if let smolgate::config::plan::Protocol::Http(http) = &mut listener.protocol {
            http.rules.iter_mut().for_each(|rule| rule.origin = nowhere.clone());
        }
    }
    plan
}

#[test]
fn a_view_loads_to_an_equal_plan() {
    let mut tried = 0;
    for Golden { path, input, .. } in golden_files() {
        let (memory, paths) = inputs(&input);
        let Ok(loaded) = load(&paths, &memory) else {
            continue;
        };
        tried += 1;
        let shown = view(&loaded.plan);
        assert!(!shown.contains("sesame"), "{} shows the token", path.display());
        let again = load(&["view.yml".into()], &memory.file("view.yml", shown.clone()));
        let again = again.unwrap_or_else(|errors| panic!("{}: {errors}\n{shown}", path.display()));
        assert_eq!(without_origins(again.plan), without_origins(loaded.plan), "{}", path.display());
    }
    assert!(tried >= 8, "only {tried} golden files are valid");
}

#[test]
fn a_token_is_never_shown() {
    for text in [
        "internal_api: { token: sesame, bind: nonsense }",
        "internal_api: { bind: nonsense, token: \"ses ame sesame\" }",
        "internal_api: { tokn: sesame }",
        "http_config: { port: 80 }\nhttp_routes: [{ target: a:1, sticky: { cookie: at, secret: sesame } }]",
        "http_config: { port: 80 }\nhttp_routes: [{ target: a:0, sticky: { cookie: at, secret: sesamesesamesesame } }]",
        "internal_api: { token: [sesame] }",
        "internal_api: { token: sesame\nx: [",
        "x-a: &a sesame\ninternal_api: { token: *a, bind: \"${env:GATE_TOKEN}\" }",
        "workers: ${env:GATE_TOKEN}",
        "listeners: [{ name: a, bind: \"${file:secrets/token}\" }]",
        "http_config: { port: 80 }\nhttp_routes: [{ target: \"http://me:sesame@a\" }]",
    ] {
        let errors = outcome(text);
        assert!(errors.starts_with("error"), "{text}\n{errors}");
        assert!(!errors.contains("sesame"), "{text}\n{errors}");
    }
}

#[test]
fn many_rules_with_conditions_at_one_place_are_a_warning() {
    let warnings = |count: usize, path: fn(usize) -> String| {
        let rule = |at| {
            format!("  - {{ path_prefix: {}, header: {{ X-A: \"{at}\" }}, target: \"a:1\" }}\n", path(at))
        };
        let rules: String = (0..count).map(rule).collect();
        let said = outcome(&format!("http_config: {{ port: 80 }}\nhttp_routes:\n{rules}"));
        said.matches("warning: 100 rules with conditions stand at one host and path").count()
    };
    assert_eq!(warnings(150, |_| "/a".to_owned()), 1);
    assert_eq!(warnings(99, |_| "/a".to_owned()), 0);
    assert_eq!(warnings(150, |at| format!("/{at}")), 0);
}

#[test]
fn many_rules() {
    let mut text = "http_config: { port: 80 }\nhttp_routes:\n".to_owned();
    for number in 0..10_000 {
        text.push_str(&format!(
            "  - host: h{number}.example.com\n    path_prefix: /a\n    target: http://10.0.0.1:{}\n",
            1_000 + number % 100
        ));
    }
    let loaded =
        load(&["a.yml".into()], &MemoryInputs::new().file("a.yml", text)).expect("a valid configuration");
    assert!(loaded.warnings.is_empty());
    assert_eq!(loaded.plan.upstreams.len(), 100);
    let smolgate::config::plan::Protocol::Http(http) = &loaded.plan.listeners[0].protocol else {
        panic!("an HTTP listener");
    };
    assert_eq!(http.rules.len(), 10_000);
}

/// A way to break a text at a place: the text there is removed, repeated, or replaced.
#[derive(Clone, Debug)]
enum Break {
    Remove(usize, usize),
    Repeat(usize, usize),
    Insert(usize, &'static str),
}

const DEBRIS: [&str; 28] = [
    ":",
    "-",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "\n",
    "  ",
    "\t",
    "&a ",
    "*a",
    "<<: ",
    "!x ",
    "|",
    ">",
    "#",
    "$",
    "${env:",
    "${file:a}",
    "%",
    "\0",
    "ü",
    "\u{1f600}",
    "\r",
    "99999999999999999999",
];

fn breaks() -> impl Strategy<Value = Vec<Break>> {
    let one = prop_oneof![
        (0..4_000usize, 1..40usize).prop_map(|(at, length)| Break::Remove(at, length)),
        (0..4_000usize, 1..40usize).prop_map(|(at, length)| Break::Repeat(at, length)),
        (0..4_000usize, 0..DEBRIS.len()).prop_map(|(at, which)| Break::Insert(at, DEBRIS[which])),
    ];
    prop::collection::vec(one, 1..6)
}

fn broken(text: &str, breaks: &[Break]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for one in breaks {
        let (Break::Remove(at, _) | Break::Repeat(at, _) | Break::Insert(at, _)) = one;
        let at = at % (chars.len() + 1);
        match one {
            Break::Remove(_, length) => {
                chars.drain(at..(at + length).min(chars.len()));
            }
            Break::Repeat(_, length) => {
                let part = chars[at..(at + length).min(chars.len())].to_vec();
                chars.splice(at..at, part);
            }
            Break::Insert(_, debris) => {
                chars.splice(at..at, debris.chars());
            }
        }
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every text gives a plan or errors, and each error has a line of that text.
    #[test]
    fn broken_text_never_panics(which in 0..1_000usize, breaks in breaks()) {
        static FILES: LazyLock<Vec<Golden>> = LazyLock::new(golden_files);
        let (memory, paths) = inputs(&broken(&FILES[which % FILES.len()].input, &breaks));
        match load(&paths, &memory) {
            Ok(loaded) => {
                let again = load(&["view.yml".into()], &memory.file("view.yml", view(&loaded.plan)));
                prop_assert!(again.is_ok(), "{}", view(&loaded.plan));
            }
            Err(errors) => prop_assert!(errors.errors().count() > 0 && !errors.to_string().is_empty()),
        }
    }
}
