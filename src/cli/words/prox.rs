//! The command line of prox: its verbs, and flags as Go reads them.

use std::ffi::{OsStr, OsString};

use clap::Subcommand;

use crate::cli::files::Files;

/// Verbs that a command line of prox becomes.
#[derive(Debug, Subcommand)]
pub enum TranslatedVerb {
    /// `validate -config FILE`: as `check`, with the lines of prox.
    #[command(name = "prox-validate", hide = true)]
    Validate(Files),
    /// `build`, which compiles plugins there.
    #[command(name = "prox-build", hide = true)]
    Build,
}

impl TranslatedVerb {
    pub(in crate::cli) fn files(&mut self) -> Option<&mut Files> {
        match self {
            TranslatedVerb::Validate(files) => Some(files),
            TranslatedVerb::Build => None,
        }
    }
}

/// The flags of prox.
const FLAGS: [&str; 3] = ["config", "log-level", "watch"];

/// A command line in the words of the gate, if it is one of prox: `serve`, `validate` or `build` with a flag of prox. An
/// image may have the name of that program in front.
pub(in crate::cli) fn translated(words: Vec<OsString>) -> Vec<OsString> {
    let is_named = words.get(1).is_some_and(|word| word == "prox");
    let mut rest = words.iter().skip(if is_named { 2 } else { 1 });
    let verb = rest.next().and_then(|word| word.to_str());
    let flags: Vec<&OsString> = rest.collect();
    let has_flag = flags.iter().any(|word| flag(word).is_some());
    let verb = match verb {
        Some("serve") if has_flag => "run",
        Some("validate") if has_flag => "prox-validate",
        Some("build") => return vec![words[0].clone(), "prox-build".into()],
        _ if is_named => return words[..1].iter().chain(&words[2..]).cloned().collect(),
        _ => return words,
    };
    let mut line: Vec<OsString> = vec![words[0].clone(), verb.into()];
    let (mut watches, mut flags) = (true, flags.into_iter());
    while let Some(word) = flags.next() {
        match flag(word) {
            Some(("watch", value)) => {
                watches = !matches!(value, Some("false" | "0" | "f" | "F" | "FALSE" | "False"))
            }
            Some((name, value)) => {
                line.push(format!("--{name}").into());
                line.extend(value.map(OsString::from).or_else(|| flags.next().cloned()));
            }
            None => line.push(word.clone()),
        }
    }
    if verb == "run" && watches {
        line.push("--watch".into());
    }
    line
}

/// The name of a flag of prox, and its value if that is in the same word.
fn flag(word: &OsStr) -> Option<(&'static str, Option<&str>)> {
    let text = word.to_str()?;
    let text = text.strip_prefix("--").or_else(|| text.strip_prefix('-'))?;
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let known = FLAGS.into_iter().find(|known| *known == name)?;
    Some((known, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_of_prox_gets_the_words_of_the_gate() {
        for (line, expected) in [
            ("serve -config a.json5", "run --config a.json5 --watch"),
            (
                "serve --config=a.json5 -watch=false -log-level debug",
                "run --config a.json5 --log-level debug",
            ),
            ("serve -watch", "run --watch"),
            ("prox serve -config a.json5 -watch=0", "run --config a.json5"),
            ("prox validate -config a", "prox-validate --config a"),
            ("validate --config a", "prox-validate --config a"),
            ("validate", "validate"),
            ("serve", "serve"),
            ("serve public --port 80", "serve public --port 80"),
            ("build -config a", "prox-build"),
            ("prox version", "version"),
            ("-c a.yml check", "-c a.yml check"),
            ("", ""),
        ] {
            let words = |line: &str| -> Vec<OsString> {
                std::iter::once("smolgate").chain(line.split_whitespace()).map(OsString::from).collect()
            };
            assert_eq!(translated(words(line)), words(expected), "{line}");
        }
    }
}
