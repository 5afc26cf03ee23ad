//! Variables of locci-proxy: `RUST_LOG`, set or in the file `.env`.

use std::path::Path;

use super::keys::level;
use crate::config::inputs::Inputs;
use crate::config::plan::LogLevel;

/// The level for the gate in `RUST_LOG`. A variable that is set comes before that of `.env` in the working directory.
pub(super) fn log_level(inputs: &dyn Inputs) -> Option<LogLevel> {
    let set = inputs.env("RUST_LOG").filter(|text| !text.trim().is_empty());
    let directives = set.or_else(|| written(&inputs.read(Path::new(".env")).ok()?))?;
    let parts = || directives.split(',').map(str::trim);
    let own = parts().find_map(|part| part.strip_prefix("locci_proxy=").or(part.strip_prefix("smolgate=")));
    let any = || parts().find(|part| !part.contains('='));
    level(own.or_else(any)?).ok()
}

/// The value of `RUST_LOG` in the text of `.env`.
fn written(text: &str) -> Option<String> {
    let pairs = text.lines().filter_map(|line| line.trim().strip_prefix("RUST_LOG"));
    let value = pairs.filter_map(|rest| rest.trim_start().strip_prefix('=')).next()?;
    let value = value.split(" #").next().unwrap_or_default();
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MemoryInputs;

    #[test]
    fn the_directive_for_the_gate_counts() {
        for (set, file, level) in [
            ("", "", None),
            ("debug", "RUST_LOG=warn", Some(LogLevel::Debug)),
            ("", "# RUST_LOG=warn\nA=b\nRUST_LOG = \"trace\" # all\n", Some(LogLevel::Trace)),
            ("locci_proxy=debug,pingora_core=warn", "", Some(LogLevel::Debug)),
            ("warn,locci_proxy=info", "", Some(LogLevel::Info)),
            ("pingora_core=warn", "", None),
            ("loud", "", None),
        ] {
            let inputs = MemoryInputs::new().env("RUST_LOG", set).file(".env", file);
            assert_eq!(log_level(&inputs), level, "{set} {file}");
        }
    }
}
