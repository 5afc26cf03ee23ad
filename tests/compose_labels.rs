//! Compose files and their results: golden files, round trips, broken text.
//!
//! A golden file has diagnostics, then the plan as the view shows it. Of the files of an input, those are loaded
//! that a person would name. An input that names no file is `compose.yaml`. A first line `# NAME=value ...` is the
//! environment; a word `--compose=NAME` in it is the option, and then no other file is loaded.

#![cfg(feature = "compose")]

mod support;

use std::collections::HashSet;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use smolgate::config::plan::{Action, Protocol, Rule};
use smolgate::config::{Files, Format, Loaded, MemoryInputs, load, load_files, view};
use support::golden::{self, Golden};
use support::schema::Schema;

fn golden_files() -> Vec<Golden> {
    golden::golden_files("compose", 40)
}

/// The files of a golden file, and those to load: those of the option, else `smolgate.yml`, `app.yaml`, and each
/// `compose.yaml` that no other file includes.
fn inputs(input: &str) -> (MemoryInputs, Files) {
    let mut memory = MemoryInputs::new().env("API_HOST", "api.internal");
    let mut named = Vec::new();
    let environment = input.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default();
    for (name, value) in environment.split(' ').filter_map(|word| word.split_once('=')) {
        match name {
            "--compose" => named.push((compose(), value.into())),
            _ => memory = memory.env(name, value),
        }
    }
    let (memory, mut paths) = golden::in_memory(memory, input, "compose.yaml");
    let includes = input.contains("include:");
    paths.retain(|path| {
        let known = ["smolgate.yml", "app.yaml", "compose.yaml"].iter().any(|name| path.ends_with(name));
        named.is_empty() && known && (!includes || path == Path::new("compose.yaml"))
    });
    (memory, Files { config: paths, named, ..Files::default() })
}

fn compose() -> Format {
    Format::named("compose").expect("a format")
}

fn outcome(input: &str) -> String {
    let (memory, files) = inputs(input);
    match load_files(&files, &memory) {
        Ok(loaded) => {
            let said: String = loaded.warnings.iter().map(|warning| warning.render(false) + "\n").collect();
            let rejected = match loaded.plan.rejected_services {
                0 => String::new(),
                count => format!("# {count} rejected\n"),
            };
            // Leave out defaults, which are the same everywhere and would hide the rest.
            format!("{said}{rejected}{}", interesting(&view(&loaded.plan)))
        }
        Err(diagnostics) => diagnostics.to_string(),
    }
}

/// Mappings of the view that have defaults. `tls` shows them, because few files have it.
const USUAL: [&str; 4] = ["a configuration", "an HTTP listener", "a rule", "an upstream"];

/// The lines that most plans of compose files have.
static DULL: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let schema = Schema::of("native");
    let keys = schema.keys();
    let all = USUAL.into_iter().flat_map(|what| keys[what].iter().map(move |key| (what, key)));
    // Labels have another default of one key. Another stands for two things.
    let all = all.filter(|(_, key)| !matches!(&***key, "pass_host" | "acme"));
    let lines = all.filter_map(|(what, key)| Some(format!("{key}: {}", schema.default(what, key)?)));
    let others = [
        "internal_api:",
        "bind: \"127.0.0.1:42007\"",
        "pass_host: true",
        "path_prefix: \"/\"",
        "eject: { failures: 3, for: 10s }",
    ];
    lines.chain(others.map(str::to_owned)).collect()
});

fn interesting(view: &str) -> String {
    let is_dull = |line: &&str| DULL.contains(line.trim_start());
    view.lines().filter(|line| !is_dull(line)).map(|line| format!("{line}\n")).collect()
}

#[test]
fn golden_files_give_what_they_say() {
    golden::compare(&golden_files(), outcome);
}

#[test]
fn the_view_of_compose_files_loads_again() {
    for Golden { path, input, .. } in golden_files() {
        let (memory, files) = inputs(&input);
        holds(&memory, &files).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

fn loaded(text: &str) -> Loaded {
    load(&["compose.yaml".into()], &MemoryInputs::new().file("compose.yaml", text))
        .unwrap_or_else(|errors| panic!("{errors}"))
}

fn rules(loaded: &Loaded) -> &[Rule] {
    match &loaded.plan.listeners[0].protocol {
        Protocol::Http(http) => &http.rules,
        Protocol::Tcp(_) => panic!("labels make HTTP listeners"),
    }
}

#[test]
fn a_rule_comes_from_the_line_of_its_host() {
    let loaded = loaded(
        "services:\n  a:\n    labels:\n      smolgate.port: 80\n      smolgate.host: a.example.com\n      smolgate.redirect_from: b\n",
    );
    let lines: Vec<(String, u32)> =
        rules(&loaded).iter().map(|rule| (rule.origin.to_string(), rule.origin.column)).collect();
    assert_eq!(lines, [("compose.yaml:6".to_owned(), 7), ("compose.yaml:5".to_owned(), 7)]);
}

#[test]
fn a_rejected_service_answers_503_and_says_why() {
    let loaded =
        loaded("services:\n  a: { labels: { smolgate.host: a.example.com, smolgate.port: many } }\n");
    assert_eq!(loaded.plan.rejected_services, 1);
    let Action::Respond(answer) = &rules(&loaded)[0].action else { panic!("{:?}", rules(&loaded)) };
    assert_eq!(answer.status, 503);
    assert!(answer.headers.iter().any(|(name, _)| &**name == "Retry-After"));
    assert_eq!(answer.body.as_literal().unwrap(), "the service `a` is not served: `many` is not a port\n");
}

#[test]
fn a_password_is_never_shown() {
    let shown = outcome(
        "services: { a: { labels: { smolgate.host: a, smolgate.target: \"http://me:sesame@b:1\" } } }",
    );
    assert!(shown.contains("carries a user name") && !shown.contains("sesame"), "{shown}");
    let (memory, files) = inputs("==> compose.yaml <==\nservices: {}\n==> .env <==\nPASSWORD=\"sesame\n");
    let warnings = load_files(&files, &memory).expect("a plan").warnings;
    let shown: String = warnings.iter().map(|warning| warning.render(false)).collect();
    assert!(shown.contains("not closed") && !shown.contains("sesame"), "{shown}");
}

#[test]
fn the_format_can_be_given() {
    let inputs = MemoryInputs::new().file("a.yml", "x-nothing: 1\n").file("b.yml", "services: {}\n");
    let read = |file: &str, format| {
        load_files(&Files { config: vec![file.into()], format, ..Files::default() }, &inputs)
    };
    assert!(read("a.yml", None).expect("a native file").plan.listeners.is_empty());
    assert_eq!(read("a.yml", Format::named("compose")).expect("a compose file").plan.listeners.len(), 1);
    assert_eq!(read("b.yml", None).expect("a compose file").plan.listeners.len(), 1);
    assert!(read("b.yml", Format::named("native")).is_err());
}

/// Files as `--compose` names them.
fn composed(files: &[&str]) -> Files {
    Files { named: files.iter().map(|file| (compose(), file.into())).collect(), ..Files::default() }
}

#[test]
fn a_file_that_several_patterns_match_is_loaded_once() {
    let service = |host: &str| {
        format!("services: {{ {host}: {{ labels: {{ smolgate.host: {host}, smolgate.port: 80 }} }} }}")
    };
    let inputs = MemoryInputs::new()
        .file("apps/b/compose.yaml", service("b"))
        .file("apps/a/compose.yaml", service("a"))
        .file("apps/a/.env", "A=1\n")
        .file("apps/c/notes.txt", "");
    let read = |compose: &[&str]| load_files(&composed(compose), &inputs);
    let both = read(&["apps/b/compose.yaml", "apps/*/compose.yaml"]).expect("a plan");
    let files: Vec<String> = both.plan.files.iter().map(|file| file.display().to_string()).collect();
    assert_eq!(files, ["apps/b/compose.yaml", "apps/a/.env", "apps/a/compose.yaml"]);
    assert_eq!(rules(&both).len(), 2);
    for (name, expected) in
        [("none.yaml", "none.yaml cannot be read"), ("none/*.yaml", "there is no file none/*.yaml")]
    {
        let errors = read(&[name, "apps/a/compose.yaml"]).expect_err("a missing file").to_string();
        assert!(errors.contains(expected), "{errors}");
    }
}

/// The keys that the reader of `what` knows: it lists them for a key that it does not know.
fn keys_of(what: &str, text: &str) -> Vec<String> {
    let inputs = MemoryInputs::new().file("a.yml", text);
    let errors = load(&["a.yml".into()], &inputs).expect_err("an unknown key").to_string();
    let list = errors.split_once(&format!("the keys of {what} are ")).expect("the keys").1;
    list.lines().next().unwrap_or_default().split(", ").map(str::to_owned).collect()
}

/// Whether a label is known, whatever its value is.
fn is_label(name: &str) -> bool {
    let text = format!(
        "services: {{ a: {{ labels: {{ liteproxy.host: a, liteproxy.port: 80, smolgate.{name}: x }} }} }}"
    );
    let inputs = MemoryInputs::new().file("compose.yaml", text);
    let said: Vec<String> = match load(&["compose.yaml".into()], &inputs) {
        Ok(loaded) => loaded.warnings.iter().map(|warning| warning.message.clone()).collect(),
        Err(errors) => vec![errors.to_string()],
    };
    !said.iter().any(|message| message.contains("is not a label that the gate knows"))
}

/// A new key of rules or of TLS to targets is a label too, or stands here with the reason why not.
#[test]
fn every_key_of_rules_is_a_label() {
    let forward = "http_config: { port: 80 }\nhttp_routes: [{ target: \"https://a\", qqqqqqqqqq: 1 }]";
    let pass = "http_config: { port: 80 }\nhttp_routes: [{ pass: \"a:1\", qqqqqqqqqq: 1 }]";
    let tls = "http_config: { port: 80 }\nhttp_routes: [{ target: \"https://a\", tls: { qqqqqqqqqq: 1 } }]";
    let no_labels = [
        // Each host of a route is a rule, and two rules cannot have one name.
        "name",
        // The labels of a service say where requests go: to that service, or to its `target`.
        "targets", "upstream", "redirect", "respond", "drop", "files",
        "pages", // The label is `passthrough`.
        "pass",  // Its keys are labels.
        "tls", "auth", // Mappings, and a label is a text.
        "header", "cookie", "query", // Labels lead into them.
        "headers", "speed",
    ];
    let mut seen = 0;
    for key in [keys_of("a rule", forward), keys_of("a rule", pass), keys_of("`tls`", tls)].concat() {
        seen += 1;
        assert_eq!(is_label(&key), !no_labels.contains(&key.as_str()), "{key}");
    }
    assert!(seen > 20 && !is_label("qqqqqqqqqq"), "{seen}");
}

/// The watched files are those that were read, and those that would have been.
#[test]
fn every_file_that_was_asked_for_is_recorded() {
    let inputs = MemoryInputs::new()
        .file(
            "apps/a/compose.yaml",
            "include: [more.yaml]\nservices: { a: { extends: { file: ../base.yaml, service: b }, label_file: [gone.labels] } }",
        )
        .file("apps/a/more.yaml", "services: {}")
        .file("apps/base.yaml", "services: { b: {} }");
    for name in ["apps/*/compose.yaml", "apps/*", "apps/a"] {
        let sources = load_files(&composed(&[name]), &inputs).expect("a plan").sources;
        for path in [
            "apps/a/compose.yaml",
            "apps/a/more.yaml",
            "apps/base.yaml",
            "apps/a/.env",
            "apps/a/compose.override.yaml",
            "apps/a/gone.labels",
        ] {
            assert!(sources.get(Path::new(path)).is_some(), "{path}");
        }
        assert_eq!(sources.get(Path::new("apps")).is_some(), name.contains('*'));
    }
}

#[test]
fn many_services() {
    let mut text = "x-base: &base { expose: [80] }\nservices:\n".to_owned();
    for number in 0..5_000 {
        text.push_str(&format!(
            "  s{number}: {{ <<: *base, labels: {{ smolgate.host: h{number}.example.com }} }}\n"
        ));
    }
    let loaded = loaded(&text);
    assert_eq!((rules(&loaded).len(), loaded.plan.upstreams.len()), (5_000, 5_000));
    assert!(loaded.warnings.is_empty());
}

#[test]
fn long_chains_of_extends_and_include_end() {
    let mut text = "services:\n  s0: { expose: [80] }\n".to_owned();
    for number in 1..2_000 {
        text.push_str(&format!(
            "  s{number}: {{ extends: s{}, labels: {{ smolgate.host: h{number} }} }}\n",
            number - 1
        ));
    }
    assert_eq!(loaded(&text).plan.rejected_services, 2_000 - 64);
    let mut memory = MemoryInputs::new();
    for number in 0..2_000 {
        memory =
            memory.file(format!("{number}.yaml"), format!("include: [{0}.yaml, {0}.yaml]\n", number + 1));
    }
    let errors = load(&["0.yaml".into()], &memory).expect_err("too many files").to_string();
    assert!(errors.contains("more than"), "{errors}");
}

const DEBRIS: [&str; 22] = [
    "{",
    "}",
    "[",
    "- ",
    ": ",
    "\"",
    "'",
    "&a ",
    "*a",
    "<<: ",
    "${",
    "${A:-",
    "$$",
    "=",
    "\n",
    "!reset ",
    "ä",
    "\u{1f600}",
    "\r",
    "smolgate.",
    "extends: ",
    "99999999999999999999",
];

fn broken(text: &str, breaks: &[(usize, usize, usize)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, length, what) in breaks {
        let at = at % (chars.len() + 1);
        let to = (at + length).min(chars.len());
        match what % 3 {
            0 => drop(chars.drain(at..to)),
            1 => {
                let part = chars[at..to].to_vec();
                chars.splice(at..at, part);
            }
            _ => drop(chars.splice(at..at, DEBRIS[what / 3 % DEBRIS.len()].chars())),
        }
    }
    chars.into_iter().collect()
}

/// Checks that there is a plan whose view loads again, or that there are errors.
fn holds(memory: &MemoryInputs, files: &Files) -> Result<(), TestCaseError> {
    match load_files(files, memory) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                warning.render(true);
            }
            let again = load(&["view.yml".into()], &MemoryInputs::new().file("view.yml", view(&loaded.plan)));
            prop_assert!(again.is_ok(), "{}\n{}", again.unwrap_err(), view(&loaded.plan));
        }
        Err(errors) => prop_assert!(errors.errors().count() > 0 && !errors.to_string().is_empty()),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every file gives a plan or errors.
    #[test]
    fn broken_text_never_panics(
        which in 0..1_000usize,
        breaks in prop::collection::vec((0..4_000usize, 1..40usize, 0..100usize), 1..6),
    ) {
        static FILES: LazyLock<Vec<Golden>> = LazyLock::new(golden_files);
        let (memory, files) = inputs(&broken(&FILES[which % FILES.len()].input, &breaks));
        holds(&memory, &files)?;
    }

    /// Any label is read without a panic.
    #[test]
    fn any_label_is_read(key in "[a-z_.]{0,12}", value in "\\PC{0,30}", dotenv in "\\PC{0,60}") {
        let value = serde_json::to_string(&value).expect("a string");
        let text = format!("services: {{ a: {{ expose: [80], labels: {{ smolgate.host: a, \"smolgate.{key}\": {value} }} }} }}");
        let memory = MemoryInputs::new().file("compose.yaml", text).file(".env", dotenv);
        holds(&memory, &Files { config: vec!["compose.yaml".into()], ..Files::default() })?;
    }
}
