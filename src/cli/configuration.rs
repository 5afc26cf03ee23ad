//! Finds and reads the configuration.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::disk::DiskInputs;
use super::files::{Files as Arguments, default_files};
use super::{demo, output};
use crate::config::plan::{InternalApi, Plan};
use crate::config::{
    self, DescribedGate, Diagnostic, Diagnostics, Files, Format, Inputs, Loaded, Severity, adapt_foreign,
    described_gate, load_files,
};

/// Prints the warnings.
fn said(Loaded { plan, warnings, .. }: Loaded) -> Plan {
    say(&warnings);
    plan
}

/// Prints why services were rejected, and no warnings.
fn said_errors(Loaded { plan, mut warnings, .. }: Loaded) -> Plan {
    warnings.retain(|one| one.severity == Severity::Error);
    say(&warnings);
    plan
}

fn say(warnings: &[Diagnostic]) {
    let warnings: String = warnings.iter().map(|one| one.render(output::colours()) + "\n").collect();
    output::say(&warnings);
}

/// Prints all errors and returns the exit code.
fn invalid(all: Diagnostics) -> ExitCode {
    output::say(&all.render(output::colours()));
    ExitCode::from(output::INVALID)
}

/// The plan of the gate that will run, and that gate if the files describe it.
pub(super) struct Described {
    pub(super) plan: Plan,
    pub(super) gate: Option<DescribedGate>,
}

impl Described {
    /// A variable of the gate, which comes from this process or from the files.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let described = || self.gate.as_ref()?.variables.get(name).cloned();
        std::env::var(name).ok().or_else(described)
    }
}

/// Reads the plan and prints warnings and the reasons why services were rejected. On an error, prints all errors and
/// returns the exit code. The gate runs elsewhere: variables that are not set here are those of the gate that the files
/// describe.
pub(super) fn read_described(files: &Arguments) -> Result<Described, ExitCode> {
    described(files, said)
}

/// As [`read_described`], without warnings: those are for `check`.
pub(super) fn read_described_quietly(files: &Arguments) -> Result<Described, ExitCode> {
    described(files, said_errors)
}

fn described(files: &Arguments, said: fn(Loaded) -> Plan) -> Result<Described, ExitCode> {
    let environment = |name: &str| std::env::var_os(name);
    let missing = |message: String| output::failure(output::INVALID, &message);
    let found = find(files, environment, Path::is_file).map_err(missing)?;
    let Some(gate) = described_gate(&found, &DiskInputs) else {
        return Ok(Described { plan: said(read_quietly(files)?), gate: None });
    };
    let variable = |name: &str| environment(name).or_else(|| gate.variables.get(name).map(OsString::from));
    let found = find(files, variable, Path::is_file).map_err(missing)?;
    let plan = said(load(&found, &gate.inputs(&DiskInputs))?);
    Ok(Described { plan, gate: Some(gate) })
}

/// The warning that this process is not the gate that the files describe.
pub(super) fn not_its_environment(gate: &DescribedGate) -> String {
    let DescribedGate { name, written, .. } = gate;
    let variables = written.join(", ");
    format!(
        "{name} has variables that this process has not, so this gate runs without them: {variables}; \
         start that service, or set them here too"
    )
}

/// Reads the labels of another program, written anew. Prints warnings, or all errors.
pub(super) fn read_foreign(program: &str, files: &Arguments) -> Result<String, ExitCode> {
    let found = sources(files)?;
    let (text, warnings) = adapt_foreign(program, &found, &DiskInputs).map_err(invalid)?;
    say(&warnings);
    text.ok_or_else(|| {
        let message = format!("no service has labels or variables for {program}");
        output::failure(output::INVALID, &message)
    })
}

/// The internal API of a gate that may run with an earlier version of the files: all that they tell, and their errors
/// as a text.
pub(super) fn internal_api(files: &Arguments) -> (InternalApi, String) {
    let (found, missing) = match find(files, |name| std::env::var_os(name), Path::is_file) {
        Ok(found) => (found, String::new()),
        Err(message) => (Files::default(), format!("error: {message}\n")),
    };
    let (api, wrong) = config::internal_api(&found, &DiskInputs);
    (api, wrong.map_or(missing, |all| all.render(output::colours())))
}

/// Reads the plan without printing the warnings.
pub(super) fn read_quietly(files: &Arguments) -> Result<Loaded, ExitCode> {
    load(&sources(files)?, &DiskInputs)
}

fn load(files: &Files, inputs: &dyn Inputs) -> Result<Loaded, ExitCode> {
    load_files(files, inputs).map_err(invalid)
}

/// The files and folders that make up the configuration.
pub(super) fn sources(files: &Arguments) -> Result<Files, ExitCode> {
    let found = find(files, |name| std::env::var_os(name), Path::is_file);
    found.map_err(|message| output::failure(output::INVALID, &message))
}

/// The files to read. For each option, these are the files of the command line, else that of the environment. If
/// none is named, it is the first default that `exists`.
fn find(
    written: &Arguments,
    environment: impl Fn(&str) -> Option<OsString>,
    exists: impl Fn(&Path) -> bool,
) -> Result<Files, String> {
    let variable = |name| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let Arguments { files, named, format, mode, bind } = written.clone();
    let mut files = Files { config: files, named: named.0, format, mode, bind, started: None };
    if files.config.is_empty() {
        files.config.extend(variable("CONFIG_FILE"));
    }
    for (format, _, option) in Format::options() {
        if !files.named.iter().any(|(known, _)| *known == format) {
            let file = option.variables.iter().copied().find_map(variable);
            files.named.extend(file.map(|file| (format, file)));
        }
    }
    // The image of go-proxy names its file, and the command that starts it does so again.
    let mut seen = HashSet::new();
    files.config.retain(|file| seen.insert(file.clone()));
    if files.config.is_empty() && files.named.is_empty() {
        match default(&variable, &exists) {
            Some((format, _)) if Format::options().any(|(known, ..)| known == format) => {
                files.named.push((format, HERE.into()));
            }
            Some((_, file)) => files.config.push(file.into()),
            None => files.config.push(common(exists).ok_or_else(missing)?.into()),
        }
    }
    Ok(files)
}

/// The first file that exists of those with names that other programs have too, if a key tells that it is one of ours.
fn common(exists: impl Fn(&Path) -> bool) -> Option<&'static str> {
    let is_ours = |file: &&str| exists(Path::new(file)) && config::is_known(Path::new(file), &DiskInputs);
    Format::common_files().find(is_ours)
}

/// The working directory. An option that is given a folder takes the default files of its format in it.
const HERE: &str = ".";

/// The first default file that `exists`, and its format. A format whose default files a variable names has them.
fn default(
    variable: &impl Fn(&'static str) -> Option<PathBuf>,
    exists: impl Fn(&Path) -> bool,
) -> Option<(Format, &'static str)> {
    let named: Vec<Format> = Format::options()
        .filter(|(.., option)| variable(option.default_variable).is_some())
        .map(|(format, ..)| format)
        .collect();
    Format::default_files().find(|(format, file)| named.contains(format) || exists(Path::new(file)))
}

/// The message that there is no configuration.
fn missing() -> String {
    let options: String = Format::options().map(|(_, name, _)| format!(" or --{name} FILE")).collect();
    format!("there is no configuration\n{}\nName one with -c FILE{options}{}.", default_files(), demo::TIP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::words;

    fn found(line: &str, environment: &[(&str, &str)], missing: &[&str]) -> Result<Files, String> {
        let mut verb = words(&format!("check {line}")).unwrap();
        let variable = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        find(verb.files().unwrap(), variable, |file| !missing.iter().any(|name| file == Path::new(name)))
    }

    fn config(line: &str, environment: &[(&str, &str)], missing: &[&str]) -> String {
        let config = found(line, environment, missing).unwrap().config;
        config.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_command_line_comes_before_the_environment_and_that_before_the_defaults() {
        for (line, environment, expected) in
            [("-c a -c b", "env", "a b"), ("", "env", "env"), ("", "", "config/smolgate.yml")]
        {
            assert_eq!(config(line, &[("CONFIG_FILE", environment)], &["smolgate.yml"]), expected, "{line}");
        }
        let has_option = |format| Format::options().any(|(known, ..)| known == format);
        let defaults: Vec<&str> = Format::default_files().map(|(_, file)| file).collect();
        for (index, (format, file)) in Format::default_files().enumerate() {
            let files = found("", &[], &defaults[..index]).unwrap();
            let (config, named) = match has_option(format) {
                true => (Vec::new(), vec![(format, PathBuf::from(HERE))]),
                false => (vec![PathBuf::from(file)], Vec::new()),
            };
            assert_eq!((files.config, files.named), (config, named));
        }
    }

    #[test]
    fn an_option_of_a_format_comes_before_its_variables() {
        for (format, name, option) in Format::options() {
            let named = |line: &str, environment: &[(&str, &str)]| {
                let files = found(line, environment, &[]).unwrap();
                assert_eq!(files.config.is_empty(), !line.starts_with("-c"), "{line}");
                assert!(files.named.iter().all(|(known, _)| *known == format));
                files.named.into_iter().map(|(_, path)| path.display().to_string()).collect::<Vec<_>>()
            };
            let [first, .., last] = option.variables else { panic!("{name} has several variables") };
            assert_eq!(named(&format!("--{name} a --{name} b"), &[(first, "env")]), ["a", "b"]);
            assert_eq!(named("-c a", &[(first, "env"), (last, "other")]), ["env"]);
            assert_eq!(named("", &[(first, ""), (last, "other")]), ["other"]);
        }
    }

    #[test]
    fn without_a_configuration_the_message_names_every_place() {
        let message = find(&Arguments::default(), |_| None, |_| false).unwrap_err();
        assert!(message.contains("$CONFIG_FILE"), "{message}");
        for (_, place) in Format::default_files() {
            assert!(message.contains(place), "{message}");
        }
        for (_, name, option) in Format::options() {
            assert!(message.contains(&format!("--{name} FILE")), "{message}");
            assert!(message.contains(&format!("${}", option.variables[0])), "{message}");
        }
    }
}
