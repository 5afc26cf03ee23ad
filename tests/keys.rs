//! Every key of the configuration shows in the view, and a reload that changes it says so.
//!
//! The keys are those that the readers ask for. So a new key fails here until it has a row in
//! `tests/support/keys.rs`, and then until both places know it.

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use smolgate::config::plan::{FileChanges, changes};
use smolgate::config::view;
use support::keys::{MAPPINGS, Mapping, known_keys, load_inside};

/// Keys whose change a reload does not find in the plan: the gate says what becomes of the workers.
const NOT_IN_THE_PLAN: [&str; 1] = ["workers"];

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
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/source");
    let mut mappings = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
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
            assert_ne!(view(&before), view(&after), "`{key}` of {what} is not in the view");
            let said = changes(&before, &after, &FileChanges::default());
            let is_said = !said.is_empty() || NOT_IN_THE_PLAN.contains(key);
            assert!(is_said, "a reload says nothing of `{key}` of {what}");
        }
    }
}
