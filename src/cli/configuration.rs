//! Which files are the configuration, and what they mean; `check` says no more than that.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::arguments::Files;
use super::output;
use crate::config::plan::{Plan, Protocol};
use crate::config::{Loaded, load};
use crate::disk::Disk;

/// Where a configuration is looked for when nobody says where it is.
const DEFAULTS: [&str; 3] = ["smolgate.yml", "config/smolgate.yml", "/etc/smolgate/smolgate.yml"];

/// Reads and checks the configuration, and says what it holds.
pub fn check(files: &Files) -> ExitCode {
    match read(files) {
        Err(code) => code,
        Ok(plan) => output::result(&summary(&plan)),
    }
}

/// The plan; or everything that is wrong with it was said, and this is how the process ends.
/// Warnings are said too.
pub(super) fn read(files: &Files) -> Result<Plan, ExitCode> {
    let Loaded { plan, warnings, .. } = read_quietly(files)?;
    let warnings: String = warnings.iter().map(|one| one.render(output::colours()) + "\n").collect();
    output::say(&warnings);
    Ok(plan)
}

/// The same, for those who say the warnings themselves.
pub(super) fn read_quietly(files: &Files) -> Result<Loaded, ExitCode> {
    load(&paths(files)?, &Disk).map_err(|all| {
        output::say(&all.render(output::colours()));
        ExitCode::from(output::INVALID)
    })
}

/// The files and folders that make up the configuration.
pub(super) fn paths(files: &Files) -> Result<Vec<PathBuf>, ExitCode> {
    find(&files.files, std::env::var_os("CONFIG_FILE"), Path::is_file)
        .map_err(|message| output::failure(output::INVALID, &message))
}

/// The files to read: those of the command line, else of the environment, else the first default that
/// `exists`.
fn find(
    written: &[PathBuf],
    environment: Option<OsString>,
    exists: impl Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, String> {
    if !written.is_empty() {
        return Ok(written.to_vec());
    }
    if let Some(file) = environment.filter(|file| !file.is_empty()) {
        return Ok(vec![file.into()]);
    }
    let found = DEFAULTS.iter().map(Path::new).find(|file| exists(file));
    found.map(|file| vec![file.to_owned()]).ok_or_else(|| {
        format!(
            "there is no configuration: $CONFIG_FILE is not set, and none of {} is there\n\
             Name one with -c FILE, or try `smolgate demo`, which needs none.",
            DEFAULTS.join(", ")
        )
    })
}

fn summary(plan: &Plan) -> String {
    let files: Vec<String> = plan.files.iter().map(|file| file.display().to_string()).collect();
    let rules = plan.listeners.iter().map(|listener| match &listener.protocol {
        Protocol::Http(http) => http.rules.len(),
        Protocol::Tcp(_) => 0,
    });
    format!(
        "{} is valid: {}, {}, {}\n",
        files.join(", "),
        counted(plan.listeners.len(), "listener"),
        counted(rules.sum(), "rule"),
        counted(plan.upstreams.len(), "upstream"),
    )
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_comes_before_the_environment_and_that_before_the_defaults() {
        let there = |file: &Path| file != Path::new("smolgate.yml");
        let written = [PathBuf::from("a"), PathBuf::from("b")];
        assert_eq!(find(&written, Some("env".into()), there).unwrap(), written);
        assert_eq!(find(&[], Some("env".into()), there).unwrap(), [PathBuf::from("env")]);
        assert_eq!(find(&[], Some("".into()), there).unwrap(), [PathBuf::from("config/smolgate.yml")]);
        assert_eq!(find(&[], None, |_| true).unwrap(), [PathBuf::from("smolgate.yml")]);
    }

    #[test]
    fn where_nothing_is_found_every_place_is_named() {
        let message = find(&[], None, |_| false).unwrap_err();
        assert!(message.contains("$CONFIG_FILE"));
        for place in DEFAULTS {
            assert!(message.contains(place), "{message}");
        }
    }
}
