//! `${env:NAME}`, `${env:NAME:-default}` and `${file:path}` in a string. `$$` stands for `$`.

use std::path::Path;

use crate::config::inputs::Inputs;
use crate::config::keys::ValueError;

/// The message of a failed substitution, and a hint.
type Missing = (String, Option<String>);

/// A string with everything filled in. The path of a file starts from `dir`.
///
/// A default may hold anything but `}`. The filled-in text is not looked at again.
pub(crate) fn expand(text: &str, dir: &Path, inputs: &dyn Inputs) -> Result<String, Missing> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some(end) = after.find('}') else {
                return Err(("`${` without its `}`".into(), Some("`$${` stands for `${` itself".into())));
            };
            out.push_str(&fill(&after[..end], dir, inputs)?);
            rest = &after[end + 1..];
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn fill(what: &str, dir: &Path, inputs: &dyn Inputs) -> Result<String, Missing> {
    if let Some(variable) = what.strip_prefix("env:") {
        let (name, default) = match variable.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (variable, None),
        };
        // As in a shell, `:-` replaces an empty variable too.
        let value = inputs.env(name).filter(|value| !(value.is_empty() && default.is_some()));
        return value.or_else(|| default.map(str::to_owned)).ok_or_else(|| {
            let hint = format!("set it, or give a default: `${{env:{name}:-...}}`");
            (format!("the environment variable `{name}` is not set"), Some(hint))
        });
    }
    if let Some(path) = what.strip_prefix("file:") {
        return match inputs.read(&dir.join(path)) {
            Ok(mut text) => {
                let trimmed = text.trim_end_matches(['\n', '\r']).len();
                text.truncate(trimmed);
                Ok(text)
            }
            Err(error) => {
                let hint = Some("the path is relative to the file it stands in".into());
                Err((format!("the file `{path}` cannot be read: {error}"), hint))
            }
        };
    }
    // The text is not quoted, because a secret may hold such characters.
    let hint = "write `$${` where `${` itself is meant".into();
    Err(("`${...}` is neither `${env:NAME}` nor `${file:path}`".into(), Some(hint)))
}

/// Refuses a text that is empty after substitution.
pub(crate) fn not_empty(text: &str) -> Result<&str, ValueError> {
    if text.trim().is_empty() { Err(ValueError::new("is empty")) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MemoryInputs;

    fn expanded(text: &str) -> Result<String, String> {
        let inputs =
            MemoryInputs::new().env("NAME", "value").env("EMPTY", "").file("conf/secret", "sesame\n");
        expand(text, Path::new("conf"), &inputs).map_err(|(message, _)| message)
    }

    #[test]
    fn fills_in() {
        for (text, expected) in [
            ("no dollar", "no dollar"),
            ("${env:NAME}", "value"),
            ("<${env:NAME}-${env:NAME}>", "<value-value>"),
            ("${env:NONE:-a:b}", "a:b"),
            ("${env:EMPTY:-a}", "a"),
            ("${env:EMPTY}", ""),
            ("${env:NONE:-}", ""),
            ("${file:secret}", "sesame"),
            ("$$", "$"),
            ("$${env:NAME}", "${env:NAME}"),
            ("5$ a $x$", "5$ a $x$"),
        ] {
            assert_eq!(expanded(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn says_what_is_missing() {
        for (text, expected) in [
            ("${env:NONE}", "the environment variable `NONE` is not set"),
            ("${NAME}", "`${...}` is neither `${env:NAME}` nor `${file:path}`"),
            ("${env:NAME", "`${` without its `}`"),
        ] {
            assert_eq!(expanded(text), Err(expected.to_owned()), "{text}");
        }
        assert!(
            expanded("${file:none}")
                .is_err_and(|message| message.starts_with("the file `none` cannot be read"))
        );
    }
}
