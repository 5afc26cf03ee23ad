//! Every key of the configuration shows in the view, and a reload that changes it says so.
//!
//! The keys are those that the readers ask for. So a new key fails here until it has a row in
//! `tests/support/keys.rs`, and then until both places know it.

// The hashes and the keys of `auth` are none without the features.
#![cfg(all(feature = "auth", feature = "jwt"))]

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use smolgate::config::plan::{FileChanges, changes};
use smolgate::config::{MemoryInputs, load, view};
use support::keys::{MAPPINGS, Mapping, known_keys, load_inside};

/// Keys whose change a reload does not find in the plan: the gate says what becomes of the workers.
const NOT_IN_THE_PLAN: [&str; 1] = ["workers"];

/// Keys whose value is a secret, and which are there whenever the keys beside them are.
const NOT_IN_THE_VIEW: [&str; 2] = ["hmac", "secret"];

#[test]
fn every_key_has_a_row() {
    for (what, keys) in known_keys() {
        let rows = MAPPINGS.iter().filter(|mapping| mapping.what == what).flat_map(|mapping| mapping.rows);
        let rows: BTreeSet<String> = rows.copied().flatten().map(|(key, ..)| (*key).to_owned()).collect();
        assert_eq!(keys, rows, "the keys of {what} on the left, their rows on the right");
    }
}

/// A mapping that no row leads to would keep its keys from the other tests.
#[test]
fn every_mapping_has_rows() {
    let known = known_keys();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = ["src/config/source", "src/config/source/messages", "src/config/source/policies"]
        .map(|dir| root.join(dir).read_dir().unwrap());
    let mut mappings = 0;
    for path in entries.into_iter().flatten().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
    {
        let text = std::fs::read_to_string(path).unwrap();
        for call in text.split("MappingReader::open(").skip(1) {
            let call = call.split(')').next().unwrap();
            let what = call.split('"').nth(1).unwrap_or_else(|| panic!("no name of a mapping in `{call}`"));
            // Its protocol gives it another name.
            assert!(what == "a listener" || known.contains_key(what), "{what} has no row");
            mappings += 1;
        }
    }
    assert!(mappings >= 15, "{mappings}");
}

#[test]
fn every_key_shows_in_the_view_and_in_the_report_of_a_reload() {
    for Mapping { what, around, rows } in MAPPINGS {
        for (key, before, after) in rows.iter().copied().flatten() {
            let [before, after] = [before, after].map(|inside| {
                let loaded = load_inside(around, inside);
                loaded.unwrap_or_else(|errors| panic!("`{key}` of {what}: {errors}")).plan
            });
            let is_shown = view(&before) != view(&after) || NOT_IN_THE_VIEW.contains(key);
            assert!(is_shown, "`{key}` of {what} is not in the view");
            let said = changes(&before, &after, &FileChanges::default());
            let is_said = !said.is_empty() || NOT_IN_THE_PLAN.contains(key);
            assert!(is_said, "a reload says nothing of `{key}` of {what}");
        }
    }
}

/// Keys of which several files may have a part.
const JOINED: [&str; 5] = ["http_routes", "listeners", "upstreams", "plugins", "policies"];

#[test]
fn a_key_at_the_top_is_in_one_file() {
    let top = MAPPINGS.iter().find(|mapping| mapping.what == "a configuration").expect("the top");
    for (key, _, after) in top.rows.iter().copied().flatten().filter(|(key, ..)| !JOINED.contains(key)) {
        let text = top.around.replace('@', after);
        let inputs = MemoryInputs::new().file("a.yml", text.clone()).file("b.yml", text);
        let errors = load(&["a.yml".into(), "b.yml".into()], &inputs).expect_err(key).to_string();
        assert!(errors.contains(&format!("`{key}` is set in two files")), "{key}: {errors}");
    }
}

/// A key in a wrong place has an error that names its place, and is no unknown key.
#[test]
fn a_key_of_another_place_is_no_unknown_key() {
    let known = known_keys();
    let listener = "{ listeners: [{ name: a, bind: 1, @ }] }";
    let tcp = "{ listeners: [{ name: a, bind: 1, protocol: tcp, target: h:1, @ }] }";
    let pass = "{ http_config: { port: 1 }, http_routes: [{ pass: h:1, @ }] }";
    for (around, here, from) in [
        (listener, "an HTTP listener", "a configuration"),
        (tcp, "a TCP listener", "a configuration"),
        (tcp, "a TCP listener", "an HTTP listener"),
        (pass, "a rule", "a rule"),
    ] {
        for key in known[from].iter().filter(|key| from == here || !known[here].contains(*key)) {
            let errors = load_inside(around, &format!("{key}: 1")).err().map(|errors| errors.to_string());
            let is_unknown = errors.is_some_and(|errors| errors.contains("is not a key of"));
            assert!(!is_unknown, "`{key}` of {from} is unknown to {here}: {around}");
        }
    }
}

/// A rule with another action than forwarding refuses a key, or the key counts and is in the view.
#[test]
fn a_key_of_rules_counts_beside_an_action_or_is_refused() {
    let rule = MAPPINGS.iter().find(|mapping| mapping.what == "a rule").expect("rules");
    let mut taken = 0;
    for (key, before, after) in rule.rows.iter().copied().flatten() {
        let is_beside = *before == "target: h:1" && after.starts_with("target: h:1, ");
        for action in ["redirect: /a", "respond: {}", "drop: true", "pass: h:1"].iter().filter(|_| is_beside)
        {
            if let Ok(loaded) = load_inside(rule.around, &after.replace("target: h:1", action)) {
                let shown = view(&loaded.plan);
                // A set shows as the policies that it has.
                let key = if *key == "policy" { "max_requests" } else { key };
                assert!(shown.contains(&format!(" {key}: ")), "`{key}` beside `{action}`\n{shown}");
                taken += 1;
            }
        }
    }
    assert!(taken > 10, "{taken}");
}
