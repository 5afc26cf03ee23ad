//! The tables of the documentation and those of the code: each has what the other has.
//!
//! The code tells what it knows by its own words: the message about an unknown key lists the keys, the help lists the
//! verbs, the internal API its paths. Labels stand in a table of the source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use smolgate::metrics::{
    CertificateExpiry, Counters, EndpointFigures, NameState, PluginResult, ProcessStats, render_endpoints,
};
use smolgate::reason::Reason;

use crate::internal_support::Api;
use crate::root;
use crate::support::keys::known_keys;
use crate::support::schema::Schema;
use crate::tables::{Row, page, rows, same, section, words_of_code};

/// Pages of which a table names a key in its first column, by the heading of the table, and the mappings that have
/// these keys.
const KEY_TABLES: [(&str, &str, &[&str]); 20] = [
    ("docs/config.md", "Top level", &["a configuration"]),
    ("docs/config.md", "The internal API", &["the internal API"]),
    ("docs/config.md", "Listeners", &["an HTTP listener", "a TCP listener"]),
    ("docs/config.md", "Rules", &["a rule"]),
    ("docs/config.md", "Upstreams and targets", &["an upstream"]),
    ("docs/tls.md", "The keys", &["`tls` of a listener"]),
    ("docs/passthrough.md", "The keys", &["a rule"]),
    ("docs/files.md", "The keys of files", &["`files`"]),
    (
        "docs/certificates.md",
        "The keys of acme",
        &["`acme`", "`ca` of `acme`", "`on_event` of `acme`", "`self_check` of `acme`"],
    ),
    ("docs/certificates.md", "Wildcards and DNS challenges", &["`dns` of `acme`"]),
    ("docs/certificates.md", "Several gates", &["`store`", "`s3` of `store`"]),
    ("docs/plugins.md", "The keys of plugins", &["a plugin"]),
    ("docs/policies.md", "CORS", &["`cors`"]),
    ("docs/policies.md", "Compression", &["`compress`"]),
    ("docs/policies.md", "Users", &["`basic`"]),
    ("docs/policies.md", "Tokens", &["`jwt`"]),
    ("docs/policies.md", "A server that knows the users", &["`forward`"]),
    ("docs/policies.md", "Rate limits", &["a rate limit"]),
    ("docs/policies.md", "Copies of requests", &["`mirror`"]),
    ("docs/policies.md", "Speed", &["`speed`"]),
];

/// Mappings without a table, and the section with all of their keys.
const KEYS_IN_PROSE: [(&str, &str, &str); 25] = [
    ("`eab`", "docs/certificates.md", "The keys of acme"),
    ("`http_config`", "docs/config.md", "Listeners"),
    ("`tcp`", "docs/config.md", "Listeners"),
    ("an access log", "docs/config.md", "Top level"),
    ("a redirect", "docs/config.md", "Rules"),
    ("a response", "docs/config.md", "Rules"),
    ("`headers`", "docs/config.md", "Changes of fields"),
    ("a change of fields", "docs/config.md", "Changes of fields"),
    ("`hsts`", "docs/config.md", "Changes of fields"),
    ("`pass`", "docs/config.md", "Rules"),
    ("`redirect_to_https`", "docs/config.md", "Listeners"),
    ("`tls`", "docs/config.md", "Upstreams and targets"),
    ("`balance`", "docs/upstreams.md", "The balance"),
    ("`health`", "docs/upstreams.md", "Health checks"),
    ("`sticky`", "docs/upstreams.md", "Sticky clients"),
    ("a target", "docs/upstreams.md", "Weights and backups"),
    ("`queue`", "docs/upstreams.md", "Limits"),
    ("`eject`", "docs/upstreams.md", "Ejection"),
    ("`plugins` of a rule", "docs/plugins.md", "The keys of plugins"),
    ("`auth`", "docs/policies.md", "Users"),
    ("`keys`", "docs/policies.md", "Tokens"),
    ("`max_requests`", "docs/policies.md", "Open requests"),
    ("a set of policies", "docs/policies.md", "Sets and defaults"),
    ("a certificate", "docs/tls.md", "Where certificates are"),
    ("`client_auth`", "docs/tls.md", "Certificates of clients"),
];

/// Every page with tables that users look things up in.
const PAGES: [&str; 9] = [
    "README.md",
    "docs/certificates.md",
    "docs/compose.md",
    "docs/config.md",
    "docs/http.md",
    "docs/internal-api.md",
    "docs/plugins.md",
    "docs/policies.md",
    "docs/tls.md",
];

fn owned<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// The code in the first column of the tables that `wanted` chooses.
fn first_column(rows: &[Row], wanted: impl Fn(&Row) -> bool) -> BTreeSet<String> {
    owned(rows.iter().filter(|row| wanted(row)).flat_map(|row| row.code(0)))
}

#[test]
fn keys_of_the_configuration_are_in_their_tables_and_no_others() {
    let known = known_keys();
    let keys = |what: &str| known.get(what).unwrap_or_else(|| panic!("no mapping is {what}"));
    let mut written: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, heading, mappings) in KEY_TABLES {
        let is_here = |row: &Row| row.heading == heading && row.title.starts_with("key");
        let table = first_column(&rows(&page(name)), is_here);
        assert!(!table.is_empty(), "{name} has no table of keys under `{heading}`");
        let of_code: BTreeSet<String> = mappings.iter().flat_map(|what| keys(what).clone()).collect();
        let invented: Vec<_> = table.difference(&of_code).collect();
        assert!(invented.is_empty(), "{name}, {heading}: {mappings:?} has no {invented:?}");
        mappings.iter().for_each(|what| written.entry(what).or_default().extend(table.clone()));
    }
    for (what, name, heading) in KEYS_IN_PROSE {
        written.entry(what).or_default().extend(words_of_code(&section(&page(name), heading)));
    }
    for (what, keys) in &known {
        let written = written.get(&**what).unwrap_or_else(|| panic!("no page has the keys of {what}"));
        let missing: Vec<_> = keys.difference(written).collect();
        assert!(missing.is_empty(), "no table and no section has {missing:?} of {what}");
    }
}

/// A table of keys says the default that the code has. A default in words, such as `one per core`, is none of the code.
#[test]
fn defaults_are_those_of_the_code() {
    let (schema, mut compared) = (Schema::of("native"), 0);
    for (name, heading, mappings) in KEY_TABLES {
        let table = rows(&page(name));
        let is_here =
            |row: &&Row| row.heading == heading && row.title.starts_with("key") && row.cells.len() > 2;
        for row in table.iter().filter(is_here) {
            let Some(written) = row.code(1).next() else { continue };
            for key in row.code(0) {
                let known: Vec<String> =
                    mappings.iter().filter_map(|mapping| schema.default(mapping, key)).collect();
                let written = written.trim_matches('"').to_owned();
                assert!(known.is_empty() || known.contains(&written), "{name}: {key} is {known:?}");
                compared += usize::from(!known.is_empty());
            }
        }
    }
    assert!(compared > 20, "only {compared} defaults");
}

/// The labels of compose files by their key, from rows `("name", Key::..., With::...)` of the source. The first name
/// of a key is its main one.
fn labels() -> BTreeMap<String, Vec<String>> {
    let source = page("src/config/dialects/compose/labels/labels.rs");
    let table = source.split("const KEYS:").nth(1).and_then(|rest| rest.split("];").next());
    let mut labels: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in table.expect("the table of labels").lines() {
        let cells = row.trim().strip_prefix("(\"").and_then(|row| row.split_once("\", "));
        if let Some((name, key)) = cells {
            let key = key.split(", With").next().unwrap_or(key);
            labels.entry(key.to_owned()).or_default().push(name.to_owned());
        }
    }
    assert!(labels.len() > 10, "{labels:?}");
    labels
}

#[test]
fn labels_of_compose_files_are_in_their_tables_and_no_others() {
    let page = page("docs/compose.md");
    let written = first_column(&rows(&page), |row| row.title == "label");
    let section = section(&page, "Labels");
    let mut main = BTreeSet::new();
    for names in labels().into_values() {
        let (first, others) = names.split_first().expect("a name");
        main.insert(format!("smolgate.{first}"));
        // Other names of a label stand beside the tables.
        let missing = others.iter().find(|name| !section.contains(&format!("`{name}`")));
        assert_eq!(missing, None, "the section of labels has not this name of {first}");
    }
    same("labels", &main, &written);
}

#[test]
fn reasons_are_in_their_table_and_no_others() {
    let of_code = Reason::ALL.iter().map(|reason| {
        let error = reason.proxy_error();
        let error = if error.is_empty() { String::new() } else { format!("`{error}`") };
        format!("| `{}` | {} | {error} | {} |", reason.code(), reason.status(), reason.explain())
    });
    let table: Vec<String> = of_code.collect();
    let http = page("docs/http.md");
    let written: BTreeSet<String> =
        owned(section(&http, "Every reason").lines().filter(|line| line.starts_with("| `")));
    same("reasons", &table.iter().cloned().collect(), &written);
    // Any other column with that name has codes of reasons too.
    let codes = owned(Reason::ALL.iter().map(|reason| reason.code()));
    for name in PAGES {
        let text = page(name);
        let mut column = None;
        for line in text.lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            column =
                column.filter(|_| line.starts_with('|')).or(cells.iter().position(|cell| *cell == "reason"));
            let cell = column.and_then(|column| cells.get(column).copied()).unwrap_or_default();
            let unknown = crate::code_spans(cell).find(|code| !codes.contains(*code));
            assert_eq!(unknown, None, "{name} has a reason that is none: {line}");
        }
    }
}

/// A page with every series: name, kind, labels.
pub(crate) fn metrics() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let counters = Counters::new();
    let worker = counters.worker();
    let web = worker.listener(&"web".into(), "http");
    web.ends_tls.add(1);
    web.duration.observe(Duration::from_millis(3));
    worker.rule(&"web".into(), &"all".into()).exchange("GET", 200);
    let upstream = worker.upstream(&"api".into());
    upstream.waits.is_used(true);
    upstream.holds.is_used(true);
    upstream.mirrored.sent.add(1);
    let certificate = CertificateExpiry { listener: "web".into(), name: "a".into(), expires: 0 };
    counters.set_certificates(vec![certificate], 0);
    counters.set_authorities(["a".to_owned()].into_iter());
    counters.set_ordered_names([(&"a".into(), NameState::Valid, Some(1))].into_iter());
    counters.plugin(&"keys".into()).call(0, PluginResult::Ok);
    let endpoint =
        EndpointFigures { upstream: "api".into(), target: "a".into(), ..EndpointFigures::default() };
    let page = counters.render(ProcessStats::read().as_ref()) + &render_endpoints(&[endpoint]);
    let mut metrics = BTreeMap::new();
    for family in page.split("# TYPE ").skip(1) {
        let (head, samples) = family.split_once('\n').expect("a line");
        let (name, kind) = head.split_once(' ').expect("a name and a kind");
        let series =
            samples.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
        let labels = series
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'))
            .map_or("", |(labels, _)| labels);
        let labels = labels
            .split(',')
            .filter_map(|label| Some(label.split_once('=')?.0))
            .filter(|label| *label != "le");
        metrics.insert(name.to_owned(), (kind.to_owned(), owned(labels)));
    }
    metrics
}

#[test]
fn metrics_are_in_their_tables_with_kind_and_labels_and_no_others() {
    let of_code = metrics();
    assert!(of_code.len() > 20, "{of_code:?}");
    let mut written = BTreeSet::new();
    for row in rows(&page("docs/internal-api.md")).iter().filter(|row| row.title == "name") {
        for name in row.code(0).filter(|name| *name != "process_*") {
            let (kind, labels) = of_code.get(name).unwrap_or_else(|| panic!("no metric is {name}"));
            assert_eq!((&row.cells[1], &owned(row.code(2))), (kind, labels), "{name}");
            written.insert(name.to_owned());
        }
    }
    for row in rows(&page("docs/tls.md")).iter().filter(|row| row.title == "where") {
        for series in row.code(0).filter(|code| code.starts_with("smolgate_")) {
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
            let (_, known) = of_code.get(name).unwrap_or_else(|| panic!("no metric is {name}"));
            assert_eq!(&owned(labels), known, "{name}");
            written.insert(name.to_owned());
        }
    }
    // Those of the process are `process_*`, and not on every system.
    let ours = of_code.into_keys().filter(|name| !name.starts_with("process_")).collect();
    same("metrics", &ours, &written);
}

#[test]
fn paths_of_the_internal_api_are_in_their_tables_with_their_methods_and_no_others() {
    let api = Api::start();
    let list = api.ask("GET /", "").body;
    let paths =
        owned(list.lines().filter_map(|line| line.split(' ').next()).filter(|path| path.starts_with('/')));
    assert!(paths.len() > 5, "{list}");
    let pages = ["docs/internal-api.md", "README.md"].map(page);
    assert!(pages[0].contains(&list), "docs/internal-api.md has another list than\n{list}");
    for text in &pages {
        same("paths", &paths, &first_column(&rows(text), |row| row.title == "path"));
    }
    for row in rows(&pages[0]).iter().filter(|row| row.title == "path") {
        let path = row.code(0).next().expect("a path");
        let refused = api.ask(&format!("PUT {path}"), "");
        assert!(refused.has(&format!("allow: {}", row.cells[1])), "{path}: {}", refused.head);
    }
}

/// The help of the program, or of a verb.
fn help(verb: Option<&str>) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_smolgate")).args(verb).arg("--help").output();
    String::from_utf8(output.expect("the program runs").stdout).expect("text")
}

/// Whether a help has an option, such as `-X` or `--restart`.
fn has_option(help: &str, option: &str) -> bool {
    help.split(|char: char| !char.is_ascii_alphanumeric() && char != '-').any(|word| word == option)
}

#[test]
fn verbs_are_in_the_table_of_the_readme_with_options_that_they_have_and_no_others() {
    let program = help(None);
    let list =
        program.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a list");
    let verbs = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let verbs = owned(verbs.filter(|verb| !verb.is_empty() && *verb != "help"));
    assert!(verbs.len() > 8, "{list}");
    let mut written = BTreeSet::new();
    for row in rows(&page("README.md")).iter().filter(|row| row.title == "command") {
        let of_row: Vec<&str> = row.code(0).filter_map(|span| span.split(' ').nth(1)).collect();
        let helps: Vec<String> =
            of_row.iter().map(|verb| help(Some(verb))).chain([program.clone()]).collect();
        for option in row.code(1).filter(|span| span.starts_with('-')) {
            let option = option.split(' ').next().expect("a word");
            assert!(helps.iter().any(|help| has_option(help, option)), "{of_row:?} has no {option}");
        }
        written.extend(owned(of_row));
    }
    same("verbs", &verbs, &written);
}

/// Lines of Rust in a folder or file of the project.
fn lines(path: &Path) -> usize {
    match std::fs::read_dir(path) {
        Ok(entries) => entries.map(|entry| lines(&entry.expect("an entry").path())).sum(),
        Err(_) => std::fs::read_to_string(path).expect("a file").lines().count(),
    }
}

/// Folders and files that a feature adds.
const OPTIONAL: [&str; 27] = [
    "src/config/overlay",
    "src/internal_api/v1",
    "src/cli/words/control.rs",
    "src/cli/remote/control.rs",
    "src/config/dialects/compose",
    "src/config/dialects/go_proxy",
    "src/config/dialects/locci",
    "src/config/dialects/plain",
    "src/config/dialects/prox",
    "src/cli/words/prox.rs",
    "src/cli/offline/prox.rs",
    "src/demo",
    "src/cli/demo.rs",
    "src/encoding",
    "src/file_server",
    "src/proxy/file_reply",
    "src/cli/serve.rs",
    "src/acme",
    "src/net",
    "src/store",
    "src/gate/services/certificates.rs",
    "src/http2",
    "src/mux",
    "src/proxy/http2",
    "src/jwt",
    "src/gate/services/keys.rs",
    "src/internal_api/live/page.rs",
];

#[test]
fn lines_of_the_core_and_of_the_whole_are_as_many_as_is_said() {
    let count = |paths: &[&str]| paths.iter().map(|path| lines(&root().join(path))).sum::<usize>();
    let whole = count(&["src"]);
    let core = whole - count(&OPTIONAL);
    let rows = rows(&page("CONTRIBUTING.md"));
    for (part, lines) in [("the core", core), ("the whole", whole)] {
        let row =
            rows.iter().find(|row| row.title == "part" && row.cells[0].starts_with(part)).expect("a row");
        let said: usize = row.cells[1].replace(',', "").parse().expect("a number");
        assert!(said.abs_diff(lines) * 10 < lines, "{part}: {said} lines are said, {lines} are there");
    }
}

/// Each row of the table of costs is a benchmark, and each benchmark has a row.
#[test]
fn the_cost_of_each_policy_has_a_row_and_a_benchmark() {
    let code = page("benches/policies.rs");
    let mut lines = code.lines();
    let mut benchmarks = BTreeSet::new();
    while lines.any(|line| line.starts_with("#[divan::bench")) {
        let line = lines.find(|line| line.starts_with("fn ")).expect("a function");
        let name = line["fn ".len()..].split('(').next().expect("a name");
        assert!(benchmarks.insert(name.to_owned()), "{name} stands twice");
    }
    let page = page("docs/policies.md");
    let costs = rows(&page).into_iter().filter(|row| row.heading == "The cost of a policy");
    let names = costs.flat_map(|row| {
        let cells = [1, 3].into_iter().filter(|cell| *cell < row.cells.len());
        cells.flat_map(|cell| row.code(cell).map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
    });
    same("costs of policies", &benchmarks, &names.collect());
}
