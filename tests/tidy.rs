//! The house rules, kept by reading the tree: which module may use which, how long a file and a
//! function may be, what may panic, what may be tracked.
//!
//! Each rule is a function from a file to findings. It is run over the tree here, and over small good
//! and bad samples beside it: a rule that cannot fail keeps nothing. The reading is by hand
//! ([`source`]): comments and strings are blanked, and what is left is searched for words.

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/features.rs"]
mod features;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/used.rs"]
mod used;
#[path = "tidy/words.rs"]
mod words;

use source::Source;

/// Fails with one finding a line.
fn clean(findings: Vec<String>) {
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

/// The Rust files whose path starts with `folder`.
fn sources(folder: &str) -> Vec<Source> {
    let sources: Vec<Source> = tree::files()
        .iter()
        .filter(|file| file.path.starts_with(folder) && file.path.ends_with(".rs"))
        .map(|file| Source::new(&file.path, &String::from_utf8_lossy(&file.bytes)))
        .collect();
    assert!(!sources.is_empty(), "no Rust file under {folder}");
    sources
}

/// Runs `rule` over the Rust files whose path starts with `folder`.
fn over(folder: &str, rule: impl Fn(&Source) -> Vec<String>) {
    clean(sources(folder).iter().flat_map(rule).collect());
}

/// Runs `rule` over every file of the project.
fn over_all(rule: impl Fn(&tree::File) -> Vec<String>) {
    clean(tree::files().iter().flat_map(rule).collect());
}

#[test]
fn modules_use_only_what_stands_below_them() {
    over("src/", arrows::arrows);
}

#[test]
fn the_modules_stand_in_the_order_of_their_use() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).unwrap();
    clean(arrows::table(&Source::new("src/lib.rs", &text)));
}

#[test]
fn modules_of_ordered_folders_use_only_what_stands_below_them() {
    for folder in arrows::ORDERED {
        let path = format!("{folder}/mod.rs");
        let text = std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let list = Source::new(&path, &text);
        over(folder, |source| arrows::order(&list, source));
    }
}

#[test]
fn what_is_pure_names_nothing_that_does_io() {
    over("src/", arrows::purity);
}

#[test]
fn only_the_worker_names_the_poller_and_unsafe() {
    over("src/", arrows::worker_only);
}

#[test]
fn only_one_module_opens_files() {
    over("src/", arrows::opens_files);
}

#[test]
fn files_and_functions_fit_one_sitting() {
    over("", shape::lengths);
}

#[test]
fn folders_can_be_seen_at_a_glance() {
    clean(shape::folders(&sources("src/")));
}

#[test]
fn nothing_panics_without_a_stated_invariant() {
    over("src/", shape::panics);
}

#[test]
fn nothing_is_left_undone() {
    over("", shape::undone);
    over_all(tree::notes);
}

#[test]
fn every_file_says_what_it_is() {
    over("", shape::file_doc);
}

#[test]
fn test_files_are_compiled_for_tests_only() {
    over("src/", shape::test_files);
}

#[test]
fn every_folder_of_modules_has_its_mod_rs() {
    let paths: Vec<String> = tree::files().into_iter().map(|file| file.path).collect();
    clean(tree::folders(&paths));
}

#[test]
fn text_has_no_spaces_at_line_ends_and_rust_no_tabs() {
    over_all(tree::spaces);
}

#[test]
fn nothing_binary_and_nothing_generated_is_tracked() {
    over_all(tree::foreign);
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    assert!(tree::dependencies(&manifest).count() > 10, "the manifest was not understood");
    clean(tree::unexplained(&manifest));
}

#[test]
fn rows_of_tables_are_used() {
    let sources = sources("src/");
    let unused = |table: &used::Table| {
        let used::Table { file, .. } = table;
        let text = std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        used::unused(table, &text, &sources)
    };
    clean(used::TABLES.iter().flat_map(unused).collect());
}

#[test]
fn words_that_were_given_up_are_not_used() {
    clean(words::beyond(words::STILL_WORDS, &tree::files(), words::given_up));
}

#[test]
fn comments_and_paragraphs_begin_with_no_question_word() {
    clean(words::beyond(words::STILL_OPENINGS, &tree::files(), words::openings));
}

#[test]
fn what_can_be_left_out_is_named_at_its_seam_only() {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    clean(features::declared(&manifest));
    over("src/", features::seams);
}
