//! `tail`: exchanges of a running gate as they end.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;

use super::call::{escaped, follow, unexpected};
use crate::cli::arguments::Tail;
use crate::cli::output;
use crate::config::duration;
use crate::log::colours::no_colour;

/// Prints exchanges until the gate stops, or until the reader of the output leaves.
pub fn tail(tail: &Tail) -> ExitCode {
    let path = match path(tail) {
        Ok(path) => path,
        Err(why) => return output::failure(output::USAGE, &why),
    };
    let mut printed = Ok(());
    let print = |bytes: &[u8]| {
        let mut stdout = io::stdout().lock();
        // An empty line only says that the gate is there.
        let is_empty = bytes.iter().all(|byte| *byte == b'\n');
        printed = if is_empty { Ok(()) } else { stdout.write_all(bytes).and_then(|()| stdout.flush()) };
        if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let followed = follow(&tail.call, &path, print);
    match (followed, printed) {
        (Err(code), _) => code,
        (Ok(_), Err(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        (Ok(_), Err(error)) => output::failure(output::UNABLE, &format!("cannot write the result: {error}")),
        (Ok((200, _)), Ok(())) => {
            output::failure(output::UNABLE, "the gate has stopped, or closed the connection")
        }
        (Ok((400, body)), Ok(())) => output::failure(output::USAGE, body.trim_end()),
        (Ok((status, body)), Ok(())) => output::failure(output::UNABLE, &unexpected(status, &body)),
    }
}

/// The request target that asks for the lines.
fn path(tail: &Tail) -> Result<String, String> {
    let Tail { call: _, rule, status, host, slow, reason, json } = tail;
    let slow = slow.as_deref().map(millis).transpose()?;
    let colours = io::stdout().is_terminal() && !no_colour();
    let fields = [
        ("rule", rule.clone()),
        ("status", status.clone()),
        ("host", host.clone()),
        ("slow_ms", slow.map(|millis| millis.to_string())),
        ("reason", reason.clone()),
        ("format", Some(if *json { "json" } else { "human" }.to_owned())),
        ("colours", Some(colours.to_string())),
    ];
    let fields =
        fields.iter().filter_map(|(name, value)| Some(format!("{name}={}", escaped(value.as_ref()?))));
    Ok(format!("/tail?{}", fields.collect::<Vec<_>>().join("&")))
}

fn millis(text: &str) -> Result<u128, String> {
    let wrong = |_| format!("`--slow {text}` is no duration: write 250ms, 1s or 5m");
    duration(text).map(|duration| duration.as_millis()).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::{Verb, words};

    #[test]
    fn options_become_parameters() {
        let target = |line: &str| match words(line) {
            Ok(Verb::Tail(tail)) => path(&tail),
            other => panic!("{other:?}"),
        };
        assert_eq!(target("tail").as_deref(), Ok("/tail?format=human&colours=false"));
        assert_eq!(
            target("tail --rule a/b&c --status 5xx --host a.test --slow 1s --reason no_rule --json")
                .as_deref(),
            Ok(
                "/tail?rule=a/b%26c&status=5xx&host=a.test&slow_ms=1000&reason=no_rule&format=json&colours=false"
            )
        );
        assert!(target("tail --slow soon").is_err());
    }
}
