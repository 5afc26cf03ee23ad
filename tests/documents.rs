//! What the project shows must work: every bundled configuration and every YAML block of the
//! documentation is loaded. A block of another program's format says so after `yaml`, in the line
//! that opens it: `yaml compose`, `yaml prometheus`. Those are only read as YAML.

use std::path::{Path, PathBuf};

use smolgate::config::{Memory, load};
use smolgate::disk::Disk;

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
    let files = files_in("config", "yml");
    assert!(files.len() >= 3, "{files:?}");
    for path in files {
        if path.ends_with("prometheus.yml") {
            assert!(is_yaml(&std::fs::read_to_string(&path).expect("a file")), "{}", path.display());
            continue;
        }
        let loaded = load(std::slice::from_ref(&path), &Disk).unwrap_or_else(|errors| panic!("{errors}"));
        let warnings: Vec<String> = loaded.warnings.iter().map(|warning| warning.render(false)).collect();
        assert!(warnings.is_empty(), "{}", warnings.join("\n"));
        assert!(!loaded.plan.listeners.is_empty(), "{}", path.display());
    }
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
    let mut ours = 0;
    for path in documents {
        let markdown = std::fs::read_to_string(&path).expect("a document");
        for Block { info, line, text } in blocks(&markdown) {
            let place = format!("{}:{line}", path.display());
            match info.as_str() {
                "yaml" => {
                    let inputs =
                        Memory::new().file("example.yml", text).file("token", "t\n").env("GATE_TOKEN", "t");
                    load(&["example.yml".into()], &inputs)
                        .unwrap_or_else(|errors| panic!("{place}: {errors}"));
                    ours += 1;
                }
                "yaml compose" | "yaml prometheus" => assert!(is_yaml(&text), "{place}"),
                info => assert!(
                    !info.starts_with("yaml") && !info.starts_with("yml"),
                    "{place}: what is `{info}`?"
                ),
            }
        }
    }
    assert!(ours > 0, "no block was loaded");
}

#[test]
fn blocks_are_found() {
    let found = blocks("a\n```yaml\nx: 1\n```\n- b\n  ```yaml compose\n  y: 2\n  ```\n```\nz\n```\n");
    let shown: Vec<_> =
        found.iter().map(|block| (block.info.as_str(), block.line, block.text.as_str())).collect();
    assert_eq!(shown, [("yaml", 3, "x: 1\n"), ("yaml compose", 7, "y: 2\n"), ("", 10, "z\n")]);
}
