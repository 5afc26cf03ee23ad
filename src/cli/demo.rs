//! The verbs of the feature `demo`: `demo` and `whoami`.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::logging::{self, Logging};
use super::output;
use crate::config::plan::{LogFormat, LogLevel};
use crate::demo::whoami;
use crate::gate::Explainer;
use crate::log::setup::LogLevelHandle;
use crate::metrics::Counters;

/// The end of the message that there is no configuration.
pub(super) const TIP: &str = ", or try `smolgate demo`, which needs none";

/// The verbs to try the gate with.
#[derive(Debug, Subcommand)]
pub enum DemoVerb {
    /// Run the gate on free ports with a built-in example, and print what to try
    Demo(Logging),
    /// Run a small upstream that answers with its name and with what it received
    Whoami(Who),
}

/// The arguments of `whoami`.
#[derive(Args, Debug)]
pub struct Who {
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Address to listen on; :: is every address, IPv4 too
    #[arg(long, value_name = "ADDRESS", default_value = "::")]
    bind: IpAddr,
    /// The name it answers with
    #[arg(long, default_value = "whoami")]
    name: String,
    /// The detail of the log.
    #[command(flatten)]
    logging: Logging,
}

impl DemoVerb {
    /// Runs until the process is told to stop. The demo explains by `explainer`.
    pub fn run(&self, explainer: Explainer) -> ExitCode {
        let ran = match self {
            DemoVerb::Demo(logging) => demo(logging, explainer),
            DemoVerb::Whoami(who) => whoami(who),
        };
        ran.err().unwrap_or(ExitCode::SUCCESS)
    }

    /// The verb's own `--log-level`.
    pub(super) fn logging(&mut self) -> &mut Logging {
        match self {
            DemoVerb::Demo(logging) => logging,
            DemoVerb::Whoami(who) => &mut who.logging,
        }
    }
}

fn demo(logging: &Logging, explainer: Explainer) -> Result<(), ExitCode> {
    let _level = log(logging)?;
    let ran = crate::demo::run(explainer);
    ran.map_err(|error| output::failure(output::UNABLE, &format!("the demo failed: {error}")))
}

fn whoami(who: &Who) -> Result<(), ExitCode> {
    let _level = log(&who.logging)?;
    let options = whoami::Options { port: who.port, name: who.name.clone(), bind: who.bind };
    let place = SocketAddr::new(who.bind, who.port);
    whoami::run(options).map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::AddrInUse => {
                "; another program listens there already: stop it, or choose another --port"
            }
            _ => "",
        };
        output::failure(output::UNABLE, &format!("cannot listen on {place}: {error}{hint}"))
    })
}

fn log(logging: &Logging) -> Result<LogLevelHandle, ExitCode> {
    logging::set_up(logging, LogFormat::Human, LogLevel::Info, &Counters::new())
}

#[cfg(test)]
mod tests {
    use crate::cli::arguments::{Verb, words};

    #[test]
    fn these_verbs_read_no_file() {
        for verb in ["whoami", "demo"] {
            assert!(words(&format!("-c a {verb}")).is_err(), "{verb}");
            assert!(words(&format!("{verb} -c a")).is_err(), "{verb}");
        }
    }

    #[test]
    fn the_level_of_the_log_stands_before_and_after_these_verbs() {
        for line in
            ["--log-level warn demo", "whoami --log-level warn", "--log-level info demo --log-level warn"]
        {
            let Ok(Verb::Demo(mut verb)) = words(line) else { panic!("{line}") };
            assert_eq!(verb.logging().level(), Some("warn"), "{line}");
        }
    }
}
