//! The internal API of a configuration that may be broken elsewhere. A running gate has its address all the same,
//! and the verbs that ask that gate need no more.

use std::io;
use std::path::{Path, PathBuf};

use super::diagnostics::{Diagnostics, Report};
use super::dialects::DIALECTS;
use super::inputs::Inputs;
use super::loader::{Files, read_sets};
use super::lowering;
use super::plan::InternalApi;
use super::source::Source;

/// The internal API, as far as the environment and the files tell it, else the default. The errors are those that may
/// have kept the files from telling it.
pub fn internal_api(files: &Files, inputs: &dyn Inputs) -> (InternalApi, Option<Diagnostics>) {
    let whole = Found::of(files, inputs);
    if whole.is_written || !whole.report.has_errors() {
        return whole.told();
    }
    let (api, _) = Found::of(files, &Blocks(inputs)).told();
    (api, whole.told().1)
}

/// The result of one reading.
struct Found {
    api: InternalApi,
    /// Whether a file has the key.
    is_written: bool,
    report: Report,
}

impl Found {
    fn of(files: &Files, inputs: &dyn Inputs) -> Found {
        let (mut report, mut source) = (Report::default(), Source::default());
        let sets = read_sets(files, inputs, &mut report);
        for (dialect, files) in DIALECTS.iter().zip(sets) {
            (dialect.read)(files, &mut source, inputs, &mut report);
        }
        let is_written = source.internal_api.is_some();
        let (api, ..) = lowering::internal_api(source.internal_api, inputs, &mut report);
        Found { api, is_written, report }
    }

    fn told(self) -> (InternalApi, Option<Diagnostics>) {
        (self.api, self.report.has_errors().then(|| self.report.finish()))
    }
}

/// Inputs without the rest of a file that has the key at the top. So what is not YAML elsewhere does not matter.
struct Blocks<'a>(&'a dyn Inputs);

impl Inputs for Blocks<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.0.read(path).map(|text| block(&text).unwrap_or(text))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.0.list(dir)
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.0.is_dir(path)
    }

    fn env(&self, name: &str) -> Option<String> {
        self.0.env(name)
    }

    fn env_names(&self) -> Vec<String> {
        self.0.env_names()
    }

    fn is_in_container(&self) -> bool {
        self.0.is_in_container()
    }
}

/// The line of the key and those below it that are indented.
fn block(text: &str) -> Option<String> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("internal_api:"));
    let key = lines.next()?;
    let inside = lines.take_while(|line| line.is_empty() || line.starts_with([' ', '#']));
    Some(std::iter::once(key).chain(inside).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MemoryInputs;

    #[test]
    fn what_is_broken_elsewhere_does_not_hide_it() {
        for rest in ["nonsense: 1\n", "a: [\n", "\t- x\n", "http_routes: \"\n"] {
            let text = format!("internal_api:\n  # ours\n  bind: 42\n\n  token: ${{file:token}}\n{rest}");
            for text in [text.clone(), format!("{rest}{text}")] {
                let inputs = MemoryInputs::new().file("a.yml", text.clone()).file("token", "secret\n");
                let files = Files { config: vec!["a.yml".into()], ..Files::default() };
                let (api, wrong) = internal_api(&files, &inputs);
                let token = api.token.map(|token| token.0.to_string());
                assert_eq!(
                    (api.bind.to_string().as_str(), token.as_deref()),
                    (":42", Some("secret")),
                    "{text}"
                );
                assert!(wrong.is_some(), "{text}");
                let (api, _) = internal_api(&files, &inputs.env("INTERNAL_API_PORT", ":43"));
                assert_eq!(api.bind.to_string(), ":43");
            }
        }
    }

    #[test]
    fn without_the_key_it_is_the_default_and_the_reason_is_told() {
        for (text, is_wrong) in [("workers: 2\n", false), ("workers: [\n", true), ("- a\n", true)] {
            let files = Files { config: vec!["a.yml".into()], ..Files::default() };
            let (api, wrong) = internal_api(&files, &MemoryInputs::new().file("a.yml", text));
            assert_eq!(
                (api.bind.to_string().as_str(), wrong.is_some()),
                ("127.0.0.1:42007", is_wrong),
                "{text}"
            );
        }
    }
}
