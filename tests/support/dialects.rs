//! Files of other projects: golden files, and gates that are started with such a file.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use smolgate::config::plan::Plan;
use smolgate::config::{MemoryInputs, load, view};

use super::golden::{self, Golden, golden_files};
use super::place::Place;
use super::program::Program;
use super::schema::Schema;

/// The files of a golden file, with their environment: lines `# NAME=value` at the top of the first one.
fn inputs(input: &str) -> (MemoryInputs, Vec<PathBuf>) {
    let lines = input.lines().map_while(|line| line.strip_prefix("# "));
    let variables = lines.filter_map(|line| line.split_once('='));
    let memory = variables.fold(MemoryInputs::new(), |memory, (name, value)| memory.env(name, value));
    golden::in_memory(memory, input, "config.yaml")
}

fn outcome(input: &str) -> String {
    golden::outcome(inputs(input))
}

/// Fails if a golden file of the folder gives another output than expected.
#[track_caller]
pub fn compare(folder: &str) {
    golden::compare(&golden_files(folder, 6), outcome);
}

/// `adapt` prints a native file that means the same, and the schema of the format takes each file that loads.
#[track_caller]
pub fn fit(folder: &str, format: &str) {
    let schema = Schema::of(format);
    let mut tried = 0;
    for Golden { path, input, .. } in golden_files(folder, 6) {
        let (memory, paths) = inputs(&input);
        let Ok(loaded) = load(&paths, &memory) else { continue };
        tried += 1;
        let shown = view(&loaded.plan);
        let again = load(&["view.yml".into()], &MemoryInputs::new().file("view.yml", shown.clone()));
        let again: Plan = again.unwrap_or_else(|errors| panic!("{}: {errors}", path.display())).plan;
        assert_eq!(view(&again), shown, "{}", path.display());
        // An editor tells of keys without a value.
        let has_empty = input.lines().any(|line| line.ends_with(':') && !line.starts_with(' '));
        if paths.len() == 1 && !has_empty {
            schema.check(&input).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
    assert!(tried >= 3, "only {tried} golden files are valid");
}

/// A gate that was started with the file `config.yaml` by its name alone, and its folder.
#[track_caller]
pub fn start(yaml: &str, setup: impl FnOnce(&mut Command)) -> (Program, Place) {
    let place = Place::with(&[]);
    fs::write(place.path().join("config.yaml"), yaml).unwrap();
    let program = Program::start(|command| {
        command.arg("config.yaml").current_dir(place.path()).env("INTERNAL_API_PORT", "127.0.0.1:0");
        setup(command);
    });
    (program, place)
}

/// Loads each golden file of the folder with pieces left out, doubled or replaced: errors, and never a panic.
pub fn survive_breaking(folder: &str) {
    const DEBRIS: [&str; 12] = ["", "[", "}", ": ", "\"", "- ", "0", "-1", "/", "(?i)^|", "${env:", "\u{fc}"];
    let mut tried = 0;
    for Golden { input, .. } in golden_files(folder, 6) {
        for (number, debris) in DEBRIS.iter().cycle().take(240).enumerate() {
            let start = input.floor_char_boundary(input.len() * number / 240);
            let end = input.floor_char_boundary((start + number % 9).min(input.len()));
            let broken = format!("{}{debris}{}", &input[..start], &input[end.max(start)..]);
            let (memory, paths) = inputs(&broken);
            let _ = load(&paths, &memory);
            tried += 1;
        }
    }
    assert!(tried > 1_000, "only {tried}");
}
