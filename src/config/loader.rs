//! Loads files into a checked plan: the entry to this module.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checks;
use super::decode::SAMPLE;
use super::described::DescribedGate;
use super::diagnostics::{Diagnostic, Diagnostics, Report};
use super::dialects::{ConfigFile, DIALECTS, Format};
use super::foreign;
use super::inputs::Inputs;
use super::lowering;
use super::overlay::{self, Overlay};
use super::plan::{Bind, Plan};
use super::source::Source;
use super::sources::{SourceFiles, TracedInputs};
use super::syntax::{Value, yaml};
use super::values::environment;

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The plan.
    pub plan: Plan,
    /// Warnings, and as errors the reasons why services were rejected.
    pub warnings: Vec<Diagnostic>,
    /// All files that were read.
    pub sources: SourceFiles,
    /// The changes of the control API that hold.
    pub overlay: Overlay,
}

/// The files of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Files of any kind, which is told by their keys. A folder stands for the `*.yml` and `*.yaml` in it, sorted
    /// and without hidden ones.
    pub config: Vec<PathBuf>,
    /// Files that the option of their format names. What a name stands for is looked up at every load.
    pub named: Vec<(Format, PathBuf)>,
    /// The format of `config`, if it is not to be told by the keys.
    pub format: Option<Format>,
    /// The mode in the place of that of a file with modes.
    pub mode: Option<String>,
    /// The address of the listener `http` in the place of that in the files.
    pub bind: Option<Bind>,
    /// The start of the gate that reads them, as RFC 3339 writes it. `None` if no gate does.
    pub started: Option<String>,
}

/// Reads, merges and checks files of any kind, as [`Files::config`].
///
/// # Errors
/// All errors in all files, and the warnings.
pub fn load(files: &[PathBuf], inputs: &dyn Inputs) -> Result<Loaded, Diagnostics> {
    load_files(&Files { config: files.to_vec(), ..Files::default() }, inputs)
}

/// Reads, merges and checks everything.
///
/// # Errors
/// All errors in all files, and the warnings.
pub fn load_files(files: &Files, inputs: &dyn Inputs) -> Result<Loaded, Diagnostics> {
    load_changed(files, &Overlay::default(), inputs)
}

/// As [`load_files`], with the changes of the control API.
///
/// # Errors
/// As [`load_files`], and the change that is asked for is impossible.
pub fn load_changed(files: &Files, overlay: &Overlay, inputs: &dyn Inputs) -> Result<Loaded, Diagnostics> {
    let trace = TracedInputs::new(inputs);
    match load_traced(files, overlay, &trace) {
        Ok(loaded) => Ok(Loaded { sources: trace.finish(), ..loaded }),
        Err(diagnostics) => Err(diagnostics.with_sources(trace.finish())),
    }
}

fn load_traced(written: &Files, overlay: &Overlay, inputs: &dyn Inputs) -> Result<Loaded, Diagnostics> {
    let mut report = Report::default();
    let mut source = Source::default();
    source.mode = written.mode.clone();
    source.started = written.started.clone();
    let files = read_sets(written, inputs, &mut report);
    let mut sets: Vec<_> = DIALECTS.iter().zip(files).collect();
    sets.sort_by_key(|(dialect, _)| dialect.uses_names);
    for (dialect, files) in sets {
        if dialect.uses_names {
            source.added_upstreams = overlay::upstream_names(overlay, &source, inputs);
        }
        (dialect.read)(files, &mut source, inputs, &mut report);
    }
    if source.mode.is_some() {
        report.error_without_place("--mode means nothing here: no file has modes", Some("leave it out"));
    }
    if let Some(bind) = written.bind
        && !source.bind_http(bind)
    {
        let hint = "name it so, or leave --bind out and edit the file";
        report.error_without_place("--bind means nothing here: no listener is named `http`", Some(hint));
    }
    let overlay = overlay::apply(overlay, &mut source, inputs, &mut report);
    environment::warn_of_misspelt(inputs, &mut report);
    let lowered = lowering::lower(source, inputs, &mut report);
    if report.has_errors() {
        return Err(report.finish());
    }
    // Check only a plan without errors, because an error often causes such a warning.
    checks::check(&lowered, &mut report);
    if report.has_errors() {
        return Err(report.finish());
    }
    let (plan, sources) = (lowered.plan, SourceFiles::default());
    Ok(Loaded { plan, warnings: report.finish().into_vec(), sources, overlay })
}

/// Whether a file is one of a configuration, by its keys.
pub fn is_known(path: &Path, inputs: &dyn Inputs) -> bool {
    let file = read_file(path.into(), None, inputs, &mut Report::default());
    file.is_some_and(|file| Format::knows(&file.tree.root))
}

/// The gate that the files describe, if they say how to start one, and if this is not its environment already.
/// Errors in the files are for [`load_files`] to report.
pub fn described_gate(files: &Files, inputs: &dyn Inputs) -> Option<DescribedGate> {
    let mut report = Report::default();
    let mut sets = DIALECTS.iter().zip(read_sets(files, inputs, &mut report));
    sets.find_map(|(dialect, files)| dialect.describe?(files, inputs, &mut report))
}

/// The labels of another program, written anew, and the warnings. `None` if no file has labels of that program, or none is
/// known by that name.
///
/// # Errors
/// All errors in all files, and the warnings.
pub fn adapt_foreign(
    program: &str,
    files: &Files,
    inputs: &dyn Inputs,
) -> Result<(Option<String>, Vec<Diagnostic>), Diagnostics> {
    let mut report = Report::default();
    let sets = DIALECTS.iter().zip(read_sets(files, inputs, &mut report));
    let adapted = sets.filter_map(|(dialect, files)| {
        let foreign = dialect.foreign.as_ref().filter(|foreign| foreign.names.contains(&program))?;
        (foreign.adapt)(program, files, inputs, &mut report)
    });
    let text = adapted.reduce(|all, one| all + &one);
    if report.has_errors() {
        return Err(report.finish());
    }
    Ok((text, report.finish().into_vec()))
}

/// The files by dialect. Files of one set were named as one.
pub(super) fn read_sets(
    written: &Files,
    inputs: &dyn Inputs,
    report: &mut Report,
) -> Vec<Vec<Vec<ConfigFile>>> {
    let mut files: Vec<Vec<Vec<ConfigFile>>> = DIALECTS.iter().map(|_| Vec::new()).collect();
    let configured = expand_folders(&written.config, inputs, report);
    let mut is_empty = !configured.is_empty() && written.named.is_empty();
    for path in configured {
        if let Some(mut file) = read_file(path, written.format, inputs, report) {
            is_empty &= matches!(file.tree.root.value, Value::Null);
            let format = written.format.unwrap_or_else(|| Format::of(&file.path, &file.tree.root));
            format.refuse_other_keys(&mut file.tree.root, report);
            let Format(dialect) = format;
            files[dialect].push(vec![file]);
        }
    }
    if is_empty && !report.has_errors() {
        let names = files.iter().flatten().flatten().map(|file| file.path.display().to_string());
        let message = format!("{}: the configuration is empty", names.collect::<Vec<_>>().join(", "));
        report.error_without_place(message, Some(&format!("write for example `{SAMPLE}`")));
    }
    for (format, name) in &written.named {
        let Format(dialect) = format;
        for paths in DIALECTS[*dialect].expand(name, inputs, report) {
            let files = &mut files[*dialect];
            let is_new = |path: &PathBuf| !files.iter().flatten().any(|known| known.path == *path);
            let new: Vec<PathBuf> = paths.into_iter().filter(is_new).collect();
            let mut new: Vec<ConfigFile> =
                new.into_iter().filter_map(|path| read_file(path, Some(*format), inputs, report)).collect();
            new.iter_mut().for_each(|file| format.refuse_other_keys(&mut file.tree.root, report));
            files.push(new);
        }
    }
    files
}

fn expand_folders(files: &[PathBuf], inputs: &dyn Inputs, report: &mut Report) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for path in files {
        if !inputs.is_dir(path) {
            all.push(path.clone());
            continue;
        }
        let before = all.len();
        match inputs.list(path) {
            Ok(entries) => all
                .extend(entries.into_iter().filter(|entry| is_configuration(entry) && !inputs.is_dir(entry))),
            Err(error) => report
                .error_without_place(format!("the folder {} cannot be read: {error}", path.display()), None),
        }
        if all.len() == before && !report.has_errors() {
            report.error_without_place(
                format!("the folder {} holds no *.yml and no *.yaml", path.display()),
                None,
            );
        }
    }
    all
}

fn is_configuration(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| Format::suffixes().any(|known| extension == known))
}

/// Reads one file, whose format may be known. Returns `None` if it cannot be read, or is not in the syntax of its format.
/// Then the report has the error.
fn read_file(
    path: PathBuf,
    format: Option<Format>,
    inputs: &dyn Inputs,
    report: &mut Report,
) -> Option<ConfigFile> {
    let text: Arc<str> = match inputs.read(&path) {
        // A byte order mark would shift every column of the first line.
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(&text).into(),
        Err(error) => {
            let hint = match error.kind() {
                ErrorKind::InvalidData => Some("a configuration is text in UTF-8: save it as such"),
                ErrorKind::IsADirectory => Some("this is a folder: name a file in it"),
                _ => None,
            };
            report.error_without_place(format!("{} cannot be read: {error}", path.display()), hint);
            return None;
        }
    };
    if text.len() > yaml::TEXT_BYTES_MAX {
        report.error_without_place(format!("{} is longer than 16MiB", path.display()), None);
        return None;
    }
    let file = report.add_file(&path, &text);
    if let Some(parse) = Format::parser(format, &path, &text) {
        return parse(&text, file, report).map(|tree| ConfigFile { path, tree });
    }
    if let Some(foreign) = foreign::of_text(&path, &text) {
        report.error_hint(foreign.span(file), foreign.message, foreign.hint);
        return None;
    }
    let tree = yaml::parse(&text, file, report)?;
    if let Some(foreign) = foreign::of_tree(&tree.root) {
        report.error_hint(foreign.span(file), foreign.message, foreign.hint);
        return None;
    }
    Some(ConfigFile { path, tree })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::inputs::MemoryInputs;

    fn errors(files: &[&str], inputs: &MemoryInputs) -> String {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        load(&files, inputs).expect_err("not a valid configuration").to_string()
    }

    #[test]
    fn a_folder_stands_for_its_files() {
        let inputs = MemoryInputs::new()
            .file("conf/b.yaml", "workers: 2\n")
            .file("conf/a.yml", "tcp: { port: 0, target: \"a:1\" }\n")
            .file("conf/.hidden.yml", "nonsense: 1\n")
            .file("conf/notes.txt", "nonsense: 1\n")
            .file("conf/more.yml/c.yml", "nonsense: 1\n");
        let loaded = load(&["conf".into()], &inputs).expect("a valid configuration");
        assert_eq!(loaded.plan.files, [PathBuf::from("conf/a.yml"), PathBuf::from("conf/b.yaml")]);
        assert_eq!((loaded.plan.settings.workers, loaded.plan.listeners.len()), (Some(2), 1));
        assert!(errors(&["conf"], &MemoryInputs::new().file("conf/a.txt", "")).contains("holds no *.yml"));
    }

    #[test]
    fn a_missing_file_is_an_error_beside_others() {
        let text = errors(&["none.yml", "bad.yml"], &MemoryInputs::new().file("bad.yml", "x: 1"));
        assert!(text.starts_with("error: none.yml cannot be read: no such file\n"), "{text}");
        assert!(text.contains("`x` is not a key"), "{text}");
    }

    #[test]
    fn a_byte_order_mark_moves_nothing() {
        let text = errors(&["a.yml"], &MemoryInputs::new().file("a.yml", "\u{feff}x: 1"));
        assert!(text.contains("a.yml:1:1"), "{text}");
    }

    #[test]
    fn the_environment_names_the_internal_api() {
        let file = || MemoryInputs::new().file("a.yml", "internal_api: { bind: 1 }");
        let bind = |inputs: &MemoryInputs| {
            load(&["a.yml".into()], inputs).expect("valid").plan.internal_api.bind.to_string()
        };
        assert_eq!(bind(&file()), ":1");
        assert_eq!(bind(&file().env("INTERNAL_API_PORT", "")), ":1");
        assert_eq!(bind(&file().env("INTERNAL_API_PORT", ":2")), ":2");
        assert_eq!(bind(&file().env("INTERNAL_API_PORT", "localhost:2")), "127.0.0.1:2");
        assert_eq!(bind(&file().env("INTERNAL_API_PORT", "unix:/run/gate")), "unix:/run/gate");
        let open = |inputs: &MemoryInputs| load(&["a.yml".into()], inputs).expect("valid").warnings.len();
        let nothing_served = 1;
        assert_eq!(open(&file()), nothing_served + 1);
        assert_eq!(open(&file().env("INTERNAL_API_PORT", "[::1]:2")), nothing_served);
        assert_eq!(open(&file().env("INTERNAL_API_PORT", "0.0.0.0:2")), nothing_served + 1);
        let text = errors(&["a.yml"], &file().env("INTERNAL_API_PORT", "nonsense"));
        assert!(text.contains("the value of INTERNAL_API_PORT"), "{text}");
    }
}
