//! The verb of the feature `files`: `serve`.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::logging::{self, Logging};
use super::output;
use crate::config::plan::{LogFormat, LogLevel};
use crate::config::{self, MemoryInputs};
use crate::gate::{CaughtSignals, Gate};
use crate::metrics::Counters;

/// The verbs that serve files.
#[derive(Debug, Subcommand)]
pub enum ServeVerb {
    /// Serve the files of a folder, with a list of each folder that has no index.html
    Serve(Folder),
}

/// The arguments of `serve`.
#[derive(Args, Debug)]
pub struct Folder {
    /// The folder; by default the working directory
    #[arg(value_name = "DIR", default_value = ".")]
    root: PathBuf,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Address to listen on; :: is every address, IPv4 too
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// The detail of the log.
    #[command(flatten)]
    logging: Logging,
}

impl ServeVerb {
    /// Runs until the process is told to stop.
    pub fn run(&self) -> ExitCode {
        let ServeVerb::Serve(folder) = self;
        serve(folder).err().unwrap_or(ExitCode::SUCCESS)
    }

    /// The verb's own `--log-level`.
    pub(super) fn logging(&mut self) -> &mut Logging {
        let ServeVerb::Serve(folder) = self;
        &mut folder.logging
    }
}

fn serve(folder: &Folder) -> Result<(), ExitCode> {
    let _level = logging::set_up(&folder.logging, LogFormat::Human, LogLevel::Info, &Counters::new())?;
    let shown = folder.root.display();
    let root = folder.root.canonicalize().and_then(|root| match root.is_dir() {
        true => Ok(root),
        false => Err(io::ErrorKind::NotADirectory.into()),
    });
    let invalid = |error| output::failure(output::INVALID, &format!("{shown} cannot be served: {error}"));
    let root = root.map_err(invalid)?;
    let text = configuration(&root, SocketAddr::new(folder.bind, folder.port));
    let text = text.ok_or_else(|| invalid(io::Error::other("its path is no text")))?;
    run(&root, text).map_err(|error| output::failure(output::UNABLE, &format!("{shown}: {error}")))
}

/// The configuration. `None` if the path is no text.
fn configuration(root: &Path, bind: SocketAddr) -> Option<String> {
    let quoted = serde_json::to_string(root.to_str()?).ok()?.replace('$', "$$");
    Some(format!(
        "internal_api: {{ bind: \"127.0.0.1:0\" }}\n\
         access_log: {{ to: stdout, format: human }}\n\
         http_config: {{ port: \"{bind}\" }}\n\
         http_routes: [{{ files: {{ root: {quoted}, list: true }} }}]\n"
    ))
}

fn run(root: &Path, text: String) -> io::Result<()> {
    let mut caught = CaughtSignals::new()?;
    // A file in the folder lets the folder exist for the check of the configuration.
    let inputs = MemoryInputs::new().file("serve.yml", text).file(root.join("index.html"), "");
    let load = move || config::load(&[PathBuf::from("serve.yml")], &inputs);
    let start = || Gate::start(Box::new(load)).map_err(|error| io::Error::other(error.to_string()));
    let Some(gate) = caught.unless_stopped(start)?.transpose()? else { return Ok(()) };
    let address = gate.address("http").ok_or(io::ErrorKind::NotFound)?;
    let mut out = io::stdout().lock();
    writeln!(out, "serving {} at http://{address}/", root.display())?;
    out.flush()?;
    drop(out);
    gate.serve_until_stopped(caught)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::words;

    #[test]
    fn any_folder_can_be_named() {
        for root in ["/", "/a b", "/$HOME/${env:A}", "/\"q'\\/\u{e4}: #{}", "/a\nb"] {
            let text = configuration(Path::new(root), "127.0.0.1:0".parse().unwrap()).unwrap();
            let inputs = MemoryInputs::new().file("serve.yml", text);
            let loaded = config::load(&[PathBuf::from("serve.yml")], &inputs).unwrap();
            let listeners = loaded.plan.listeners;
            let crate::config::plan::Action::Files(files) = &listeners[0].rules()[0].action else { panic!() };
            assert_eq!(&*files.root, Path::new(root));
        }
    }

    #[test]
    fn the_verb_reads_no_configuration() {
        assert!(words("serve").is_ok() && words("serve public --port 80 --bind ::").is_ok());
        assert!(words("-c a serve").is_err());
        assert!(words("--log-level warn serve").is_ok());
        assert!(words("serve a b").is_err());
    }
}
