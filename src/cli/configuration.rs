//! Finds and reads the configuration.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::arguments::Files as Arguments;
use super::disk::DiskInputs;
use super::{demo, output};
use crate::config::plan::Plan;
use crate::config::{Files, Loaded, load_files};

/// Files that are tried if none is named.
const DEFAULTS: [&str; 7] = [
    "smolgate.yml",
    "config/smolgate.yml",
    "/etc/smolgate/smolgate.yml",
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

/// Reads the plan and prints warnings and the reasons why services were rejected. On an error, prints all errors
/// and returns the exit code.
pub(super) fn read(files: &Arguments) -> Result<Plan, ExitCode> {
    let Loaded { plan, warnings, .. } = read_quietly(files)?;
    let warnings: String = warnings.iter().map(|one| one.render(output::colours()) + "\n").collect();
    output::say(&warnings);
    Ok(plan)
}

/// As [`read`], without printing the warnings.
pub(super) fn read_quietly(files: &Arguments) -> Result<Loaded, ExitCode> {
    load_files(&sources(files)?, &DiskInputs).map_err(|all| {
        output::say(&all.render(output::colours()));
        ExitCode::from(output::INVALID)
    })
}

/// The files and folders that make up the configuration.
pub(super) fn sources(files: &Arguments) -> Result<Files, ExitCode> {
    let compose =
        ["SMOLGATE_COMPOSE_FILE", "LITEPROXY_COMPOSE_FILE"].into_iter().filter_map(std::env::var_os);
    let environment = Environment {
        config: std::env::var_os("CONFIG_FILE"),
        compose: compose.into_iter().find(|value| !value.is_empty()),
    };
    find(files, environment, Path::is_file).map_err(|message| output::failure(output::INVALID, &message))
}

/// The files that the environment names.
#[derive(Default)]
struct Environment {
    config: Option<OsString>,
    compose: Option<OsString>,
}

/// The files to read. For each kind, these are the files of the command line, else those of the environment. If
/// neither names any, it is the first default that `exists`.
fn find(
    written: &Arguments,
    environment: Environment,
    exists: impl Fn(&Path) -> bool,
) -> Result<Files, String> {
    let or = |written: &[PathBuf], environment: Option<OsString>| {
        let environment = environment.filter(|file| written.is_empty() && !file.is_empty());
        written.iter().cloned().chain(environment.map(PathBuf::from)).collect::<Vec<_>>()
    };
    let mut files = Files {
        config: or(&written.files, environment.config),
        compose: or(&written.compose, environment.compose),
        format: written.format,
    };
    if files.config.is_empty() && files.compose.is_empty() {
        let found = DEFAULTS.iter().map(Path::new).find(|file| exists(file));
        let found = found.ok_or_else(|| {
            format!(
                "there is no configuration: neither $CONFIG_FILE nor $SMOLGATE_COMPOSE_FILE is set, and none of {} is there\n\
                 Name one with -c FILE or --compose FILE{}.",
                DEFAULTS.join(", "),
                demo::TIP
            )
        })?;
        files.config.push(found.to_owned());
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(files: &[&str], compose: &[&str]) -> Arguments {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect();
        Arguments { files: paths(files), compose: paths(compose), format: None }
    }

    fn environment(config: &str, compose: &str) -> Environment {
        Environment { config: Some(config.into()), compose: Some(compose.into()) }
    }

    fn shown(files: Files) -> (Vec<String>, Vec<String>) {
        let names = |paths: Vec<PathBuf>| paths.iter().map(|path| path.display().to_string()).collect();
        (names(files.config), names(files.compose))
    }

    #[test]
    fn the_command_line_comes_before_the_environment_and_that_before_the_defaults() {
        let there = |file: &Path| file != Path::new("smolgate.yml");
        for (line, environment, expected) in [
            (written(&["a", "b"], &[]), environment("env", ""), ("a b", "")),
            (written(&["a"], &[]), environment("env", "compose"), ("a", "compose")),
            (written(&[], &["a"]), environment("env", "compose"), ("env", "a")),
            (written(&[], &["a"]), Environment::default(), ("", "a")),
            (written(&[], &[]), environment("env", ""), ("env", "")),
            (written(&[], &[]), environment("", "compose"), ("", "compose")),
            (written(&[], &[]), environment("", ""), ("config/smolgate.yml", "")),
        ] {
            let (config, compose) = shown(find(&line, environment, there).unwrap());
            assert_eq!((config.join(" ").as_str(), compose.join(" ").as_str()), expected);
        }
        let compose = find(&written(&[], &[]), Environment::default(), |file| file.ends_with("compose.yaml"));
        assert_eq!(shown(compose.unwrap()).0, ["compose.yaml"]);
    }

    #[test]
    fn without_a_configuration_the_message_names_every_place() {
        let message = find(&written(&[], &[]), Environment::default(), |_| false).unwrap_err();
        assert!(message.contains("$CONFIG_FILE"));
        for place in DEFAULTS {
            assert!(message.contains(place), "{message}");
        }
    }
}
