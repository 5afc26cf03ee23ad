//! `adapt --from`: its output, and what the gate makes of it.

use std::fs;

use serde_json::Value;

use super::place::{Ended, Place};

/// The output for a compose file.
pub fn adapted(program: &str, text: &str) -> String {
    let place = Place::with(&[("compose.yaml", text)]);
    place.run(&format!("adapt --from {program} compose.yaml")).fine()
}

/// The labels of a service in an output, without their prefix.
pub fn labels(out: &str, service: &str) -> Vec<String> {
    let read: Value = serde_saphyr::from_str(out).unwrap_or_else(|error| panic!("{error}: {out}"));
    let labels = read["services"][service]["labels"].as_object().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut all: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{} {}", name.strip_prefix("smolgate.").expect("ours"), text(value)))
        .collect();
    all.sort();
    all
}

/// The rules that `routes` prints: host, path, methods and action.
pub fn rules(place: &Place, files: &str) -> Vec<String> {
    // A service whose certificate is not checked is a warning.
    let Ended { code, out, err } = place.run(&format!("routes --compose {files}"));
    assert_eq!(code, 0, "{err}");
    let rules = out.lines().skip(1).take_while(|line| !line.is_empty());
    let columns = |line: &str| {
        let columns: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        columns[2..columns.len() - 1].join(" ")
    };
    let mut rules: Vec<String> = rules.map(columns).collect();
    rules.sort();
    rules
}

/// Checks that the output for a file gives these rules: alone, and merged into that file.
#[track_caller]
pub fn gives(program: &str, text: &str, expected: &[&str]) -> String {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let place = Place::with(&[("compose.yaml", text)]);
    let out = place.run(&format!("adapt --from {program} compose.yaml")).fine();
    fs::write(place.path().join("labels.yaml"), &out).unwrap();
    assert_eq!(rules(&place, "labels.yaml"), expected, "{out}");
    assert_eq!(rules(&place, "compose.yaml:labels.yaml"), expected, "{out}");
    out
}

/// Checks that no line of the output is a label, and that a comment has each of these texts.
#[track_caller]
pub fn gives_comments(program: &str, text: &str, comments: &[&str]) {
    let out = adapted(program, text);
    let read: Value = serde_saphyr::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
    assert_eq!(read, serde_json::json!({ "services": {} }), "{out}");
    for comment in comments {
        assert!(out.lines().any(|line| line.contains(comment)), "{comment}: {out}");
    }
}
