//! Settings of the environment. They come before those of the files.

use crate::config::diagnostics::{Report, did_you_mean};
use crate::config::inputs::Inputs;
use crate::config::keys::ValueError;

/// Prefixes of the variables, without the underscore. If both are set, the first counts.
const PREFIXES: [&str; 2] = ["SMOLGATE", "LITEPROXY"];

/// The names behind the prefix.
const NAMES: [&str; 10] = [
    "COMPOSE_FILE",
    "WATCH",
    "HTTP_PORT",
    "HTTPS_ENABLED",
    "HTTPS_PORT",
    "ACME_DIR",
    "ACME_EMAIL",
    "ACME_CA",
    "ACME_STAGING",
    "ACCESS_LOG",
];

/// A variable that is set.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// Its whole name.
    pub(crate) name: String,
    pub(crate) value: String,
}

/// `SMOLGATE_<name>`, else `LITEPROXY_<name>`. An empty variable counts as not set.
pub(crate) fn variable(inputs: &dyn Inputs, name: &str) -> Option<Variable> {
    debug_assert!(NAMES.contains(&name), "a variable that no warning knows");
    PREFIXES.iter().find_map(|prefix| {
        let name = format!("{prefix}_{name}");
        let value = inputs.env(&name).filter(|value| !value.trim().is_empty())?;
        Some(Variable { name, value })
    })
}

/// Warns of variables that are nearly known. Others may have another reader: `SMOLGATE_VERSION`
/// may be the tag of an image.
pub(crate) fn warn_of_misspelt(inputs: &dyn Inputs, report: &mut Report) {
    let mut names = inputs.env_names();
    names.sort_unstable();
    names.dedup();
    for written in names {
        let Some((prefix, name)) = written.split_once('_').filter(|(prefix, _)| PREFIXES.contains(prefix))
        else {
            continue;
        };
        let known = NAMES.map(str::to_ascii_lowercase);
        let near = did_you_mean(&name.to_ascii_lowercase(), known.iter().map(String::as_str));
        if let Some(near) = near.map(str::to_ascii_uppercase).filter(|near| near != name) {
            let message = format!("{written} is not a variable of the gate, and nothing reads it");
            report.warning(None, message, format!("did you mean {prefix}_{near}?"));
        }
    }
}

/// `*_WATCH`, else the setting of the files.
pub(crate) fn watch(written: bool, inputs: &dyn Inputs, report: &mut Report) -> bool {
    let Some(Variable { name, value }) = variable(inputs, "WATCH") else { return written };
    flag(value.trim()).unwrap_or_else(|error| {
        report.error_without_place(format!("the value of {name} {}", error.problem), error.hint);
        written
    })
}

/// Parses the usual words for yes and no.
pub(crate) fn flag(text: &str) -> Result<bool, ValueError> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(ValueError::hint("is neither true nor false", "write `true` or `false`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MemoryInputs;

    #[test]
    fn the_first_prefix_comes_before_the_second() {
        let named = |inputs: &MemoryInputs| variable(inputs, "WATCH").map(|variable| variable.name);
        let old = MemoryInputs::new().env("LITEPROXY_WATCH", "yes");
        assert_eq!(named(&MemoryInputs::new()), None);
        assert_eq!(named(&old).as_deref(), Some("LITEPROXY_WATCH"));
        assert_eq!(named(&old.clone().env("SMOLGATE_WATCH", " ")).as_deref(), Some("LITEPROXY_WATCH"));
        assert_eq!(named(&old.env("SMOLGATE_WATCH", "no")).as_deref(), Some("SMOLGATE_WATCH"));
    }

    #[test]
    fn the_environment_comes_before_the_file() {
        let watch = |written, value: &str| {
            let mut report = Report::default();
            let watch = watch(written, &MemoryInputs::new().env("SMOLGATE_WATCH", value), &mut report);
            (watch, report.has_errors())
        };
        assert_eq!(watch(true, ""), (true, false));
        assert_eq!(watch(true, "0"), (false, false));
        assert_eq!(watch(false, "On"), (true, false));
        assert_eq!(watch(false, "maybe"), (false, true));
    }

    #[test]
    fn a_misspelt_variable_is_named_with_the_one_that_was_meant() {
        let warnings = |name: &str| {
            let mut report = Report::default();
            warn_of_misspelt(&MemoryInputs::new().env(name, "true"), &mut report);
            assert!(!report.has_errors());
            report.finish().to_string()
        };
        for (name, meant) in [
            ("SMOLGATE_WACH", "SMOLGATE_WATCH"),
            ("SMOLGATE_HTTPS_ENABLE", "SMOLGATE_HTTPS_ENABLED"),
            ("LITEPROXY_HTTP_PORTS", "LITEPROXY_HTTP_PORT"),
            ("SMOLGATE_COMPOSEFILE", "SMOLGATE_COMPOSE_FILE"),
        ] {
            let told = warnings(name);
            assert!(told.contains(name) && told.contains(&format!("did you mean {meant}?")), "{told}");
        }
        for name in NAMES {
            assert_eq!(warnings(&format!("SMOLGATE_{name}")), "");
        }
        for name in [
            "SMOLGATE_VERSION",
            "SMOLGATE_IMAGE",
            "SMOLGATE_PORT",
            "SMOLGATE_SERVICE_PORT",
            "SMOLGATE",
            "WACH",
            "SMOLGATEWAY_WACH",
        ] {
            assert_eq!(warnings(name), "");
        }
    }
}
