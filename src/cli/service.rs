//! The verbs that go on until they are stopped: `run`, `demo`, `whoami`.

use std::process::ExitCode;
use std::sync::Arc;

use super::arguments::{Logging, Running, Who};
use super::{configuration, output};
use crate::config::plan::{LogFormat, LogLevel};
use crate::log::Counters;
use crate::log::setup::{LevelError, LevelSources, LogLevelHandle, setup};
use crate::whoami as upstream;

/// Runs the gate until it is told to stop.
pub fn run(run: &Running) -> ExitCode {
    let plan = match configuration::read(&run.files) {
        Ok(plan) => plan,
        Err(code) => return code,
    };
    let counters = Counters::new();
    let ran = log(&run.logging, plan.log.format, plan.log.level, &counters)
        .and_then(|_level| Err(output::failure(output::UNABLE, "not wired")));
    ended(ran)
}

/// Runs the gate on free ports with a built-in example.
pub fn demo(logging: &Logging) -> ExitCode {
    let ran = log(logging, LogFormat::Human, LogLevel::Info, &Counters::new())
        .and_then(|_level| Err(output::failure(output::UNABLE, "not wired")));
    ended(ran)
}

/// Runs the built-in upstream until it is told to stop.
pub fn whoami(who: &Who) -> ExitCode {
    let options = upstream::Options { port: who.port, name: who.name.clone(), bind: who.bind };
    let ran = log(&who.logging, LogFormat::Human, LogLevel::Info, &Counters::new()).and_then(|_level| {
        let place = format!("port {} of {}", who.port, who.bind);
        upstream::run(options)
            .map_err(|error| output::failure(output::UNABLE, &format!("cannot listen on {place}: {error}")))
    });
    ended(ran)
}

/// Sends events to standard error from now on; what was logged is written when the handle goes.
fn log(
    logging: &Logging,
    format: LogFormat,
    level: LogLevel,
    counters: &Arc<Counters>,
) -> Result<LogLevelHandle, ExitCode> {
    let named = ["RUST_LOG", "LOG_LEVEL"].into_iter().filter_map(|name| std::env::var(name).ok());
    let environment = named.into_iter().find(|value| !value.trim().is_empty());
    let level = LevelSources { flag: logging.level(), environment: environment.as_deref(), file: level };
    setup(format, level, output::no_colour(), counters.clone()).map_err(|error| {
        let code = if error.is::<LevelError>() { output::USAGE } else { output::UNABLE };
        output::failure(code, &error.to_string())
    })
}

fn ended(ran: Result<(), ExitCode>) -> ExitCode {
    ran.err().unwrap_or(ExitCode::SUCCESS)
}
