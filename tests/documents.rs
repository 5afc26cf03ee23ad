//! The project's examples must work: every bundled configuration and every YAML block of the
//! documentation is loaded. A block of another program's format says so after `yaml`, in the line
//! that opens it: `yaml compose`, which is loaded for its labels, and `yaml prometheus` and `yaml foreign`, which are only
//! read as YAML. A compose file with labels for another proxy, such as `yaml traefik`, must be adapted to the `yaml compose`
//! behind it.
//!
//! And what the documentation says of the code must be there: files it names, names it looks for in
//! them, links, and quotes, which open with `rust` and the path of the file. The front page, `docs/README.md`,
//! must list every page and every question.
//!
//! Tables of keys, labels, reasons, metrics, paths and verbs are compared with the code in both directions
//! ([`reference`]).

#![cfg(all(feature = "auth", feature = "compose", feature = "demo", feature = "dialects", feature = "jwt"))]

#[path = "documents/deploy.rs"]
mod deploy;
mod internal_support;
#[path = "documents/monitoring.rs"]
mod monitoring;
#[path = "documents/reference.rs"]
mod reference;
mod support;
#[path = "documents/tables.rs"]
mod tables;

use std::path::{Path, PathBuf};

use smolgate::cli::DiskInputs;
use smolgate::config::plan::{Action, Protocol, Rule};
use smolgate::config::{Files, Format, MemoryInputs, adapt_foreign, load, load_files};
use support::schema::Schema;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_in(dir: &str, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root().join(dir)) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|is| is == extension)).collect();
    files.sort();
    files
}

fn is_yaml(text: &str) -> bool {
    serde_saphyr::from_str::<serde_json::Value>(text).is_ok()
}

#[test]
fn bundled_configurations_load_without_a_warning() {
    let mut files = files_in("config", "yml");
    assert!(files.len() >= 2, "{files:?}");
    let compose = files_in("config", "yaml");
    assert!(!compose.is_empty());
    files.extend(compose);
    // A stack of a swarm has no labels: its gate has a file of its own.
    for path in files.into_iter().filter(|path| !path.ends_with("swarm.yml")) {
        let loaded =
            load(std::slice::from_ref(&path), &DiskInputs).unwrap_or_else(|errors| panic!("{errors}"));
        let mut warnings: Vec<String> = loaded.warnings.iter().map(|warning| warning.render(false)).collect();
        if path.ends_with("docker.yml") {
            // Its comment says so: others in the network of its containers may ask the internal API.
            assert!(warnings.remove(0).contains("the internal API has no token"));
        }
        assert!(warnings.is_empty(), "{}", warnings.join("\n"));
        let text = std::fs::read_to_string(&path).expect("a file");
        let format = if path.extension().is_some_and(|is| is == "yaml") { "compose" } else { "native" };
        let checked = Schema::of(format).check(&text);
        checked.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!loaded.plan.listeners.is_empty(), "{}", path.display());
    }
}

/// Loads a compose file; a service that is rejected is an error too.
fn load_compose(text: String) -> Result<(), String> {
    let inputs = MemoryInputs::new().file("compose.yaml", text);
    let files =
        Files { format: Format::named("compose"), config: vec!["compose.yaml".into()], ..Files::default() };
    match load_files(&files, &inputs) {
        Ok(loaded) if loaded.plan.rejected_services == 0 => Ok(()),
        Ok(loaded) => Err(loaded.warnings.iter().map(|warning| warning.render(false)).collect()),
        Err(errors) => Err(errors.to_string()),
    }
}

#[test]
fn the_compose_file_of_the_project_is_understood() {
    load_compose(std::fs::read_to_string(root().join("compose.yaml")).expect("a file")).unwrap();
}

/// A fenced block: what stands after the fence, the first line of its text, its text.
struct Block {
    info: String,
    line: usize,
    text: String,
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(Block, usize)> = None;
    for (index, line) in markdown.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        match (line.trim_start().strip_prefix("```"), open.take()) {
            (Some(info), None) => {
                open = Some((
                    Block { info: info.trim().to_owned(), line: index + 2, text: String::new() },
                    indent,
                ));
            }
            (Some(_), Some((block, _))) => blocks.push(block),
            (None, Some((mut block, fence))) => {
                block.text.push_str(line.get(fence..).unwrap_or_default());
                block.text.push('\n');
                open = Some((block, fence));
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

#[test]
fn yaml_in_the_documentation_loads() {
    let mut documents = files_in("docs", "md");
    documents.extend(Some(root().join("README.md")).filter(|path| path.exists()));
    assert!(!documents.is_empty());
    let (native, labels) = (Schema::of("native"), Schema::of("compose"));
    let (mut ours, mut compose) = (0, 0);
    for path in documents {
        let markdown = std::fs::read_to_string(&path).expect("a document");
        for Block { info, line, text } in blocks(&markdown) {
            let place = format!("{}:{line}", path.display());
            match info.as_str() {
                "yaml" => {
                    native.check(&text).unwrap_or_else(|error| panic!("{place}: {error}"));
                    let pages = ["404", "sorry", "queue", "maintenance"];
                    let pages = pages.map(|page| format!("./{page}.html")).into_iter();
                    let inputs = pages
                        .fold(MemoryInputs::new(), |inputs, page| inputs.file(page, "page"))
                        .file("example.yml", text)
                        .file("token", "t\n")
                        .file("/run/secrets/smolgate-token", "t\n")
                        .env("GATE_TOKEN", "t");
                    load(&["example.yml".into()], &inputs)
                        .unwrap_or_else(|errors| panic!("{place}: {errors}"));
                    ours += 1;
                }
                "yaml compose" => {
                    labels.check(&text).unwrap_or_else(|error| panic!("{place}: {error}"));
                    load_compose(text).unwrap_or_else(|errors| panic!("{place}: {errors}"));
                    compose += 1;
                }
                "yaml prometheus" | "yaml foreign" => assert!(is_yaml(&text), "{place}"),
                info if dialect(info).is_some() => {
                    let (name, format) = dialect(info).expect("it was asked");
                    Schema::of(name).check(&text).unwrap_or_else(|error| panic!("{place}: {error}"));
                    let (config, format) = (vec!["config.yaml".into()], Some(format));
                    let inputs = MemoryInputs::new().file("config.yaml", text).env("GATE_TOKEN", "t");
                    load_files(&Files { config, format, ..Files::default() }, &inputs)
                        .unwrap_or_else(|errors| panic!("{place}: {errors}"));
                }
                info if info
                    .strip_prefix("yaml ")
                    .is_some_and(|name| foreign().any(|known| known == name)) =>
                {
                    // `what_another_proxy_has_is_adapted_to_what_stands_beside_it` adapts it.
                    assert!(is_yaml(&text), "{place}");
                }
                info => assert!(
                    !info.starts_with("yaml") && !info.starts_with("yml"),
                    "{place}: what is `{info}`?"
                ),
            }
        }
    }
    assert!(ours > 0 && compose > 0, "no block was loaded");
}

/// The dialect of a block: `yaml go-proxy`.
fn dialect(info: &str) -> Option<(&str, Format)> {
    let name = info.strip_prefix("yaml ")?;
    Some((name, Format::named(name)?))
}

/// The proxies whose labels can be adapted.
fn foreign() -> impl Iterator<Item = &'static str> {
    Format::foreign_names()
}

/// Hosts, path, methods and action of each rule of a compose file. Places and names differ between two files.
fn routed(text: &str) -> Vec<String> {
    let inputs = MemoryInputs::new().file("compose.yaml", text);
    let loaded = load(&["compose.yaml".into()], &inputs).unwrap_or_else(|errors| panic!("{errors}"));
    let mut rules = Vec::new();
    for listener in &loaded.plan.listeners {
        let Protocol::Http(http) = &listener.protocol else { continue };
        rules.extend(http.rules.iter().map(|rule| {
            let Action::Proxy(proxy) = &rule.action else { panic!("a proxied route: {text}") };
            let targets = &loaded.plan.upstreams[proxy.upstream.0].targets;
            let Rule { hosts, path_prefix, methods, .. } = rule;
            format!("{hosts:?} {path_prefix} {methods:?} {targets:?} {}", proxy.strip_path_prefix)
        }));
    }
    rules
}

#[test]
fn what_another_proxy_has_is_adapted_to_what_stands_beside_it() {
    let mut seen: Vec<String> = Vec::new();
    for (document, text) in documents() {
        let blocks = blocks(&text);
        for (block, next) in blocks.iter().zip(blocks.iter().skip(1)) {
            let name =
                block.info.strip_prefix("yaml ").and_then(|name| foreign().find(|known| *known == name));
            let Some(name) = name else { continue };
            let place = format!("{}:{}", document.display(), block.line);
            assert_eq!(next.info, "yaml compose", "{place}");
            let inputs = MemoryInputs::new().file("compose.yaml", &*block.text);
            let files = Files { config: vec!["compose.yaml".into()], ..Files::default() };
            let adapted = adapt_foreign(name, &files, &inputs).unwrap_or_else(|errors| panic!("{errors}"));
            let adapted = adapted.0.unwrap_or_else(|| panic!("{place}: no labels"));
            assert_eq!(routed(&adapted), routed(&next.text), "{place}: {adapted}");
            // The page shows one output as it is.
            let is_shown = blocks.iter().any(|shown| shown.text == adapted);
            assert!(is_shown || name != "traefik", "{place}: {adapted}");
            seen.push(name.to_owned());
        }
    }
    let missing: Vec<&str> = foreign().filter(|name| !seen.iter().any(|known| known == name)).collect();
    assert!(missing.is_empty(), "no page shows {missing:?}");
}

/// The documentation: the README and its like, and everything in `docs/`.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths = files_in("docs", "md");
    paths.extend(files_in("", "md"));
    assert!(paths.len() > 3, "{paths:?}");
    let text = |path: &PathBuf| std::fs::read_to_string(path).expect("a document");
    paths.into_iter().map(|path| (path.clone(), text(&path))).collect()
}

/// The texts between single back-ticks in a line.
fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Whether a code span is a path of this repository.
fn is_path(span: &str) -> bool {
    let folders = ["src/", "tests/", "docs/", "config/", "media/", "fuzz/", "benches/"];
    let known = folders.iter().any(|dir| span.starts_with(dir)) || ["Cargo.toml", "build.rs"].contains(&span);
    known && span.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-.".contains(&byte))
}

#[test]
fn files_and_names_in_the_documentation_are_there() {
    let (mut paths, mut names) = (0, 0);
    for (document, text) in documents() {
        // A page about one module may name its files from there: `docs/worker.md`, `src/worker/`.
        let chapter = root().join("src").join(document.file_stem().expect("a name"));
        for line in text.lines() {
            let place = format!("{}: {line}", document.display());
            for cell in line.split(" | ") {
                let mut source = String::new();
                for span in code_spans(cell) {
                    if is_path(span) {
                        let found = [root().join(span), chapter.join(span)];
                        let found = found.into_iter().find(|path| path.exists());
                        let found = found.unwrap_or_else(|| panic!("`{span}` is not there; {place}"));
                        source = std::fs::read_to_string(found).unwrap_or_default();
                        paths += 1;
                    } else if line.starts_with("| ") && !source.is_empty() && !span.contains([' ', '.', '/'])
                    {
                        // In a cell of a table, the names behind a file are to be found in it.
                        let name = span.rsplit("::").next().unwrap_or(span);
                        assert!(source.contains(name), "`{name}` is not in that file; {place}");
                        names += 1;
                    }
                }
            }
        }
    }
    assert!(paths > 50 && names > 30, "{paths} paths, {names} names");
}

/// The links of a page that lead to files of this repository, with what stands behind `#`.
fn links(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let targets = text.split("](").skip(1).map(|part| part.split(')').next().unwrap_or_default());
    targets.filter(|link| !link.contains("://")).map(|link| match link.split_once('#') {
        Some((file, anchor)) => (file, Some(anchor)),
        None => (link, None),
    })
}

/// The anchors of a page's headings, as GitHub writes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

/// Lower case, `-` for a space, and no other mark but `-` and `_`.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|char| if char == ' ' { '-' } else { char }).collect()
}

#[test]
fn links_in_the_documentation_lead_somewhere() {
    let (mut files, mut headings) = (0, 0);
    for (document, text) in documents() {
        for (file, anchor) in links(&text) {
            let place = format!("{file}#{} in {}", anchor.unwrap_or_default(), document.display());
            let beside = match file {
                "" => document.clone(),
                file => document.parent().expect("a folder").join(file),
            };
            assert!(beside.exists(), "{place}");
            files += 1;
            if let Some(anchor) = anchor {
                let page = std::fs::read_to_string(&beside).expect("a document");
                assert!(anchors(&page).iter().any(|known| known == anchor), "no such heading: {place}");
                headings += 1;
            }
        }
    }
    assert!(files > 50 && headings > 20, "{files} files, {headings} headings");
}

#[test]
fn the_front_page_lists_every_page_and_every_question() {
    let text = |path: &str| std::fs::read_to_string(root().join(path)).expect("a document");
    let front = text("docs/README.md");
    let listed: Vec<_> = links(&front).collect();
    for page in files_in("docs", "md") {
        let name = page.file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(name == "README.md" || listed.contains(&(name, None)), "{name} is not listed");
    }
    let questions = text("docs/questions.md");
    let headings: Vec<_> = questions.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert!(headings.len() > 10, "{headings:?}");
    for heading in headings {
        let question = ("questions.md", Some(&*anchor(heading)));
        assert!(listed.contains(&question), "`{heading}` is not listed");
    }
}

/// Lines without their indentation; a line of dots stands for any number of lines.
fn pieces(quote: &str) -> Vec<String> {
    let trimmed: Vec<&str> = quote.lines().map(str::trim).collect();
    trimmed.split(|line| *line == "// ...").map(|piece| piece.join("\n")).collect()
}

#[test]
fn quotes_of_code_are_what_stands_in_the_code() {
    let mut quotes = 0;
    for (document, text) in documents() {
        for Block { info, line, text } in blocks(&text) {
            let Some(path) = info.strip_prefix("rust ") else {
                continue;
            };
            let source = std::fs::read_to_string(root().join(path)).expect("a file that is quoted");
            let source: Vec<&str> = source.lines().map(str::trim).collect();
            let source = source.join("\n");
            let mut rest = source.as_str();
            for piece in pieces(&text) {
                let at = rest.find(&piece);
                let place = format!("{}:{line}", document.display());
                rest = &rest[at.unwrap_or_else(|| panic!("{place}: not in {path}:\n{piece}"))..];
            }
            quotes += 1;
        }
    }
    assert!(quotes > 0, "no quote was compared");
}

#[test]
fn anchors_are_those_of_headings() {
    assert_eq!(anchors("# A\ntext\n## What `x_y` is: a-b, c?\n"), ["a", "what-x_y-is-a-b-c"]);
    let found: Vec<_> = links("[a](b.md#c) [d](#e) [f](https://g#h) [i](j.md)").collect();
    assert_eq!(found, [("b.md", Some("c")), ("", Some("e")), ("j.md", None)]);
}

#[test]
fn blocks_are_found() {
    let found = blocks("a\n```yaml\nx: 1\n```\n- b\n  ```yaml compose\n  y: 2\n  ```\n```\nz\n```\n");
    let shown: Vec<_> =
        found.iter().map(|block| (block.info.as_str(), block.line, block.text.as_str())).collect();
    assert_eq!(shown, [("yaml", 3, "x: 1\n"), ("yaml compose", 7, "y: 2\n"), ("", 10, "z\n")]);
}
