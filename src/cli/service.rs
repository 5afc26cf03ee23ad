//! `run`: runs the gate until it is stopped.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use super::arguments::Running;
use super::disk::DiskInputs;
use super::{configuration, logging, offline, output};
use crate::config::plan::Plan;
use crate::config::{self, Overlay};
use crate::gate::{CaughtSignals, Gate, GateError, Inherited};
use crate::log::clock::Utc;
use crate::metrics::Counters;

/// Runs the gate until it is told to stop.
pub fn run(run: &Running) -> ExitCode {
    serve(run).err().unwrap_or(ExitCode::SUCCESS)
}

fn serve(run: &Running) -> Result<(), ExitCode> {
    let deaf = |error| output::failure(output::UNABLE, &format!("signals cannot be received: {error}"));
    let mut caught = CaughtSignals::new().map_err(deaf)?;
    let inherited = Inherited::from_environment();
    let unusable =
        |error| output::failure(output::UNABLE, &format!("inherited sockets cannot be used: {error}"));
    let inherited = inherited.map_err(unusable)?;
    let mut files = configuration::sources(&run.files)?;
    files.started = Some(Utc::from(SystemTime::now()).to_string());
    // Read the configuration here too, so that errors are shown in colour and before anything starts. The gate
    // logs the warnings, as at every reload.
    let arguments = run.files.clone();
    let read = caught.unless_stopped(move || configuration::read_quietly(&arguments)).map_err(deaf)?;
    let Some(plan) = read.transpose()?.map(|loaded| loaded.plan) else { return Ok(()) };
    let described = config::described_gate(&files, &DiskInputs);
    let counters = Counters::new();
    let level = Arc::new(logging::set_up(
        &run.logging,
        plan.settings.log_format,
        plan.settings.log_level,
        &counters,
    )?);
    drop(plan);
    let reloaded = level.clone();
    let on_plan = Box::new(move |plan: &Plan| reloaded.set(plan.settings.log_level));
    let watch = run.watch;
    let loader = Box::new(move |changes: &Overlay| {
        config::load_changed(&files, changes, &DiskInputs).map(|mut loaded| {
            loaded.plan.settings.watch |= watch;
            loaded
        })
    });
    let started = caught.unless_stopped(move || Gate::start_on(inherited, loader, counters, on_plan));
    let Some(gate) = started.map_err(deaf)?.transpose().map_err(cannot_start)? else {
        tracing::info!("stopped before it had started");
        return Ok(());
    };
    gate.explain_with(offline::explained);
    tracing::info!("{}", gate.summary());
    if let Some(described) = described {
        tracing::warn!("{}", configuration::not_its_environment(&described));
    }
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
