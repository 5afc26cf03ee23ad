//! The log of a verb that runs until it is stopped, and its argument.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::output;
use crate::config::plan::{LogFormat, LogLevel};
use crate::log::setup::{LevelError, LevelSources, LogLevelHandle, setup};
use crate::metrics::Counters;

/// The detail of the log.
#[derive(Args, Clone, Debug, Default)]
pub struct Logging {
    /// Least severe level that is logged; comes before RUST_LOG, LOG_LEVEL and the file
    #[arg(long, value_name = "LEVEL")]
    pub(super) log_level: Option<Level>,
}

impl Logging {
    /// The name that was given with `--log-level`.
    pub fn level(&self) -> Option<&'static str> {
        self.log_level.map(|level| match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        })
    }
}

// A copy of `plan::LogLevel`, so that the plan does not depend on clap.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// Sends events to standard error from now on. Dropping the handle writes the rest of them.
pub(super) fn set_up(
    logging: &Logging,
    format: LogFormat,
    level: LogLevel,
    counters: &Arc<Counters>,
) -> Result<LogLevelHandle, ExitCode> {
    let named = ["RUST_LOG", "LOG_LEVEL"].into_iter().filter_map(|name| std::env::var(name).ok());
    let environment = named.into_iter().find(|value| !value.trim().is_empty());
    let level = LevelSources { flag: logging.level(), environment: environment.as_deref(), file: level };
    setup(format, level, counters.clone()).map_err(|error| {
        let code = if error.is::<LevelError>() { output::USAGE } else { output::UNABLE };
        output::failure(code, &error.to_string())
    })
}
