//! The verbs that run until they are stopped: `run`, `demo`, `whoami`.

use std::process::ExitCode;
use std::sync::Arc;

use super::arguments::{Logging, Running, Who};
use super::disk::DiskInputs;
use super::{configuration, output};
use crate::config;
use crate::config::plan::{LogFormat, LogLevel, Plan};
use crate::demo::whoami as upstream;
use crate::gate::{CaughtSignals, Gate, GateError};
use crate::log::setup::{LevelError, LevelSources, LogLevelHandle, setup};
use crate::metrics::Counters;

/// Runs the gate until it is told to stop.
pub fn run(run: &Running) -> ExitCode {
    ended(serve(run))
}

fn serve(run: &Running) -> Result<(), ExitCode> {
    let deaf = |error| output::failure(output::UNABLE, &format!("signals cannot be received: {error}"));
    let mut caught = CaughtSignals::new().map_err(deaf)?;
    let files = configuration::sources(&run.files)?;
    // Read the configuration here too, so that errors are shown in colour and before anything starts. The gate
    // logs the warnings, as at every reload.
    let arguments = run.files.clone();
    let read = caught.unless_stopped(move || configuration::read_quietly(&arguments)).map_err(deaf)?;
    let Some(plan) = read.transpose()?.map(|loaded| loaded.plan) else { return Ok(()) };
    let counters = Counters::new();
    let level = Arc::new(log(&run.logging, plan.log.format, plan.log.level, &counters)?);
    drop(plan);
    let reloaded = level.clone();
    let on_plan = Box::new(move |plan: &Plan| reloaded.set(plan.log.level));
    let watch = run.watch;
    let loader = Box::new(move || {
        config::load_files(&files, &DiskInputs).map(|mut loaded| {
            loaded.plan.watch |= watch;
            loaded
        })
    });
    let started = caught.unless_stopped(move || Gate::start_with(loader, counters, on_plan));
    let Some(gate) = started.map_err(deaf)?.transpose().map_err(cannot_start)? else {
        tracing::info!("stopped before it had started");
        return Ok(());
    };
    tracing::info!("{}", gate.summary());
    let served = gate.serve_until_stopped(caught);
    level.flush();
    served.map_err(deaf)
}

fn cannot_start(error: GateError) -> ExitCode {
    match error {
        GateError::Configuration(all) => {
            output::say(&all.render(output::colours()));
            ExitCode::from(output::INVALID)
        }
        error => output::failure(output::UNABLE, error.to_string().trim_start_matches("error: ")),
    }
}

/// Runs the gate on free ports with a built-in example.
pub fn demo(logging: &Logging) -> ExitCode {
    let ran = log(logging, LogFormat::Human, LogLevel::Info, &Counters::new()).and_then(|_level| {
        crate::demo::run()
            .map_err(|error| output::failure(output::UNABLE, &format!("the demo failed: {error}")))
    });
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

/// Sends events to standard error from now on. Dropping the handle writes the rest of them.
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
