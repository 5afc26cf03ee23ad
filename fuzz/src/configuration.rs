//! Configurations, native ones, compose files and files of prox: each gives a plan whose view loads again, or errors with
//! existing places.

use std::collections::BTreeMap;
use std::path::PathBuf;

use smolgate::config::{Diagnostic, MemoryInputs, Severity, load, view};

/// The text before and after the name of a file. Without such a line everything is `compose.yaml`.
const FILE: (&str, &str) = ("==> ", " <==");

/// Checks that there is a plan or at least one error, that every named place is in the text, and that the
/// output of `adapt` means the same as the plan.
pub fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let files = files(text);
    let environment = MemoryInputs::new().env("HOST", "api.internal").env("EMPTY", "");
    let memory = files.iter().fold(environment, |memory, (path, text)| memory.file(path, text));
    let named = ["smolgate.yml", "app.yaml", "compose.yaml", "config.json5"].map(PathBuf::from);
    let named: Vec<PathBuf> = named.into_iter().filter(|path| files.contains_key(path)).collect();
    match load(&named, &memory) {
        Err(errors) => {
            assert!(errors.errors().count() > 0, "a load fails for a reason");
            errors.iter().for_each(|one| check_place(one, &files));
        }
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|one| check_place(one, &files));
            let seen = view(&loaded.plan);
            let again = load(&["view.yml".into()], &MemoryInputs::new().file("view.yml", &seen));
            let again = again.unwrap_or_else(|errors| panic!("{errors}\n{seen}"));
            assert_eq!(view(&again.plan), seen, "a view is its own view");
        }
    }
}

fn files(text: &str) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    let mut path = PathBuf::from("compose.yaml");
    for line in text.split_inclusive('\n') {
        match line.trim_end().strip_prefix(FILE.0).and_then(|line| line.strip_suffix(FILE.1)) {
            Some(name) => path = name.into(),
            None => files.entry(path.clone()).or_insert_with(String::new).push_str(line),
        }
    }
    files
}

/// Checks a place: a line of one of the files, which is shown, and a column in it or right after it.
fn check_place(one: &Diagnostic, files: &BTreeMap<PathBuf, String>) {
    assert!(!one.message.is_empty() && !one.message.contains('\n'), "{one:?}");
    for color in [false, true] {
        assert!(one.render(color).contains(if one.severity == Severity::Error {
            "error"
        } else {
            "warning"
        }));
    }
    let Some(origin) = &one.origin else { return };
    let Some(text) = files.get(&PathBuf::from(&*origin.file)) else { panic!("{one:?}: in no file") };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line = text.split('\n').nth(origin.line as usize - 1).unwrap_or_else(|| panic!("{one:?}: no line"));
    let line: Vec<char> = line.strip_suffix('\r').unwrap_or(line).chars().collect();
    let shown: Vec<char> = one.line.chars().collect();
    assert_eq!(shown.len(), line.len(), "{one:?}");
    let is_shown = |(shown, written): (&char, &char)| match shown {
        '*' => true,
        ' ' => *written == ' ' || written.is_control(),
        shown => shown == written,
    };
    assert!(shown.iter().zip(&line).all(is_shown), "{one:?}: not the line");
    assert!((1..=line.len() as u32 + 1).contains(&origin.column) && one.width >= 1, "{one:?}");
}

/// The inputs of the golden files of both kinds.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (kind, file) in [("compose", None), ("config", Some("smolgate.yml")), ("prox", Some("config.json5"))]
    {
        let folder = format!("{}/../tests/golden/{kind}", env!("CARGO_MANIFEST_DIR"));
        for entry in std::fs::read_dir(folder).expect("the folder of golden files") {
            let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a golden file");
            let (input, _) = text.split_once("----\n").expect("a line ----");
            let named = file.filter(|_| !input.contains(FILE.0));
            let heading = named.map(|name| format!("{}{name}{}\n", FILE.0, FILE.1)).unwrap_or_default();
            seeds.push((heading + input).into_bytes());
        }
    }
    seeds
}
