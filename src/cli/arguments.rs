//! The arguments of the command line.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::demo::DemoVerb;
use super::files::{Files, default_files, formats, lone_file, with_tip};
use super::logging::Logging;
use super::serve::ServeVerb;
use super::words::{Call, CertsWhat, ControlVerb, TranslatedVerb, translated};
use crate::config::Format;

/// A small reverse proxy: ordered HTTP and TCP rules from one YAML file.
#[derive(Debug, Parser)]
#[command(name = "smolgate", version, after_help = after_help(), max_term_width = 100)]
struct CommandLine {
    #[command(flatten)]
    run: Running,
    /// The same as `check`
    #[arg(short = 't', long = "test")]
    test: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// The arguments of `run`.
#[derive(Args, Clone, Debug, Default)]
pub struct Running {
    /// The files of the configuration.
    #[command(flatten)]
    pub files: Files,
    /// The detail of the log.
    #[command(flatten)]
    pub logging: Logging,
    /// Reload when a file of the configuration changes
    #[arg(long)]
    pub watch: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run the gate (the default)
    #[command(alias = "start")]
    Run(Running),
    /// Check the configuration and say everything that is wrong with it
    #[command(visible_alias = "validate")]
    Check(Files),
    /// Print the rules in the order in which they are tried
    Routes(Files),
    /// Say which rule takes a request, and why each earlier one does not
    Explain(Question),
    /// Print any configuration in the native format, with defaults written out
    Adapt(Adaptation),
    /// Print a JSON Schema of the configuration, for editors
    Schema {
        /// The format of the files
        #[arg(long, value_name = "KIND", value_parser = formats(), default_value = "native")]
        format: Format,
    },
    /// Make a running gate read its configuration again
    Reload(Reload),
    /// Ask a running gate whether it is ready
    Healthcheck(Call),
    /// Print the endpoints of upstreams, and whether they get requests
    Upstreams(Call),
    /// Show rates, upstreams, rules and reasons of a running gate; without a terminal, print them once
    Top(Call),
    /// Print exchanges of a running gate as they end
    Tail(Tail),
    /// Send no new requests to an endpoint, for example before it is stopped
    Drain(Drain),
    /// Send requests to a drained endpoint again
    Ready(Drain),
    /// Print the names for which a running gate orders certificates, look at one as a CA does, or order a new one
    Certs(Certs),
    /// The verbs of the feature `control`.
    #[command(flatten)]
    Control(ControlVerb),
    /// The verbs that a command line of another program becomes.
    #[command(flatten)]
    Translated(TranslatedVerb),
    /// The verbs of the feature `demo`.
    #[command(flatten)]
    Demo(DemoVerb),
    /// Read a password and print its hash, for `auth`
    Hash,
    /// The verb of the feature `files`.
    #[command(flatten)]
    Serve(ServeVerb),
    /// Print a new key for `store`, which seals what gates share
    Store {
        /// The thing to print
        what: StoreAction,
    },
    /// Print the version
    Version,
    /// Print a completion script
    Completion {
        /// The shell it is for
        shell: Shell,
    },
}

/// The words behind `store`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StoreAction {
    /// A new key that seals values.
    Key,
}

/// The arguments of `adapt`.
#[derive(Args, Debug)]
pub struct Adaptation {
    /// The files of the configuration.
    #[command(flatten)]
    pub files: Files,
    /// Print labels for the gate that say what those for another proxy say
    #[arg(long, value_name = "PROXY", value_parser = PossibleValuesParser::new(Format::foreign_names()))]
    pub from: Option<String>,
    /// A file, as with -c
    #[arg(value_name = "FILE")]
    pub more: Vec<PathBuf>,
}

impl Adaptation {
    /// All files.
    pub(super) fn all_files(&self) -> Files {
        let mut files = self.files.clone();
        files.files.extend(self.more.iter().cloned());
        files
    }
}

/// The request that `explain` traces.
#[derive(Args, Debug)]
pub struct Question {
    /// The files of the configuration.
    #[command(flatten)]
    pub files: Files,
    /// The URL as a client would ask for it
    pub url: String,
    /// The method of the request
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET")]
    pub method: String,
    /// A header field of the request, `Name: value`
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    pub headers: Vec<String>,
    /// The address of the client
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub from: IpAddr,
    /// The listener that accepts the request; without it, the port of the URL decides
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
    /// The rule that has to take it, by its name; exit code 1 if another one does
    #[arg(long, value_name = "RULE")]
    pub expect: Option<String>,
}

/// The arguments of `reload`.
#[derive(Args, Debug)]
pub struct Reload {
    /// The address of the internal API.
    #[command(flatten)]
    pub call: Call,
    /// Serve with new workers and new sockets, while the old ones drain
    #[arg(long)]
    pub restart: bool,
}

/// The arguments of `certs`.
#[derive(Args, Debug)]
pub struct Certs {
    /// The address of the internal API.
    #[command(flatten)]
    pub call: Call,
    /// A name, for all that is known of it, or an action: renew, revoke, check, test, dns, rollover
    #[arg(value_name = "NAME|ACTION", value_parser = CertsWhat::parse)]
    pub what: Option<CertsWhat>,
    /// The name of the certificate, behind an action
    pub name: Option<String>,
}

/// The arguments of `tail`.
#[derive(Args, Debug)]
pub struct Tail {
    /// The address of the internal API.
    #[command(flatten)]
    pub call: Call,
    /// Only those of this rule
    #[arg(long, value_name = "NAME")]
    pub rule: Option<String>,
    /// Only those with this status, 404 or 5xx
    #[arg(long, value_name = "STATUS")]
    pub status: Option<String>,
    /// Only those for this host
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Only those that took at least so long, such as 1s
    #[arg(long, value_name = "DURATION")]
    pub slow: Option<String>,
    /// Only those that the gate answered by itself, for this reason
    #[arg(long, value_name = "CODE")]
    pub reason: Option<String>,
    /// Print each as a JSON object, with all that the access log has
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `drain` and `ready`.
#[derive(Args, Debug)]
pub struct Drain {
    /// The address of the internal API.
    #[command(flatten)]
    pub call: Call,
    /// The endpoint; without TARGET, all of the upstream
    #[arg(value_name = "UPSTREAM[/TARGET]")]
    pub which: String,
    /// Wait until no request and no tunnel is at it, at most so long; exit code 1 if there still is
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "30")]
    pub wait: Option<u64>,
}

/// Parses the command line of this process. Ends the process if it is wrong (exit code 2) or asks for help (0).
pub fn parse() -> Verb {
    from(translated(std::env::args_os().collect())).unwrap_or_else(|error| error.exit())
}

/// The whole command, for completion scripts.
pub(super) fn command() -> clap::Command {
    CommandLine::command()
}

fn from(arguments: impl IntoIterator<Item = OsString>) -> Result<Verb, clap::Error> {
    let CommandLine { run, test, verb } = parsed(arguments.into_iter().collect()).map_err(with_tip)?;
    let mut verb = match (test, verb) {
        (false, None) => return Ok(Verb::Run(run)),
        (true, None) => Verb::Check(Files::default()),
        (false, Some(verb)) => verb,
        (true, Some(_)) => return Err(conflict("-t is a verb by itself: it cannot stand with another one")),
    };
    if !run.files.is_empty() {
        let nothing = || conflict("an option that names a file means nothing here: this verb reads none");
        verb.files().ok_or_else(nothing)?.follow(run.files);
    }
    if let Some(level) = run.logging.log_level {
        let own = verb.logging().ok_or_else(|| conflict("--log-level means nothing to this verb"))?;
        own.log_level.get_or_insert(level);
    }
    if run.watch {
        match &mut verb {
            Verb::Run(own) => own.watch = true,
            _ => return Err(conflict("--watch means nothing to this verb")),
        }
    }
    Ok(verb)
}

/// Parses a command line. A file that stands by itself is one of the configuration, as behind `-c`.
fn parsed(mut words: Vec<OsString>) -> Result<CommandLine, clap::Error> {
    loop {
        match CommandLine::try_parse_from(&words) {
            Err(error) => words.insert(lone_file(&error, &words).ok_or(error)?, "-c".into()),
            line => return line,
        }
    }
}

impl Verb {
    /// The verb's own files, to which those before the verb are added: `smolgate -c FILE routes`.
    pub(super) fn files(&mut self) -> Option<&mut Files> {
        match self {
            Verb::Run(run) => Some(&mut run.files),
            Verb::Check(files) | Verb::Routes(files) => Some(files),
            Verb::Adapt(adaptation) => Some(&mut adaptation.files),
            Verb::Explain(question) => Some(&mut question.files),
            Verb::Reload(Reload { call, .. })
            | Verb::Healthcheck(call)
            | Verb::Upstreams(call)
            | Verb::Top(call)
            | Verb::Tail(Tail { call, .. })
            | Verb::Certs(Certs { call, .. })
            | Verb::Drain(Drain { call, .. })
            | Verb::Ready(Drain { call, .. }) => Some(&mut call.files),
            Verb::Control(verb) => Some(verb.files()),
            Verb::Translated(verb) => verb.files(),
            Verb::Demo(_)
            | Verb::Hash
            | Verb::Serve(_)
            | Verb::Store { .. }
            | Verb::Version
            | Verb::Schema { .. }
            | Verb::Completion { .. } => None,
        }
    }

    fn logging(&mut self) -> Option<&mut Logging> {
        match self {
            Verb::Run(run) => Some(&mut run.logging),
            Verb::Demo(verb) => Some(verb.logging()),
            Verb::Serve(verb) => Some(verb.logging()),
            _ => None,
        }
    }
}

fn after_help() -> String {
    format!(
        "{}\n\n\
         Exit codes: 0 done, 1 the configuration is invalid, 2 wrong usage, 3 cannot start\n\
         or cannot be reached, 130 ended by a second signal. 1 is also the answer no: of\n\
         `healthcheck`, even if the gate cannot be reached, of `explain`, `upstreams`, `certs`\n\
         and `drain --wait`.\n\n\
         Signals to a running gate: TERM, INT and QUIT stop it gracefully and a second one\n\
         at once, HUP reloads and opens the log files again, USR1 only opens them, USR2\n\
         starts the program anew with the same sockets.",
        default_files()
    )
}

fn conflict(message: &str) -> clap::Error {
    command().error(ErrorKind::ArgumentConflict, message)
}

/// Parses a command line that is written as one string.
#[cfg(test)]
pub(super) fn words(line: &str) -> Result<Verb, clap::Error> {
    from(std::iter::once("smolgate").chain(line.split_whitespace()).map(OsString::from))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn no_verb_means_run_and_t_means_check() {
        assert!(matches!(words(""), Ok(Verb::Run(_))));
        assert!(matches!(words("-t"), Ok(Verb::Check(_))));
        assert!(matches!(words("validate"), Ok(Verb::Check(_))));
        assert!(words("-t routes").is_err());
    }

    #[test]
    fn files_stand_before_and_after_the_verb() {
        for line in ["-c a routes -c b", "-c a -c b routes", "routes -c a -c b", "-t -c a -c b", "-c a -c b"]
        {
            let mut verb = words(line).unwrap();
            assert_eq!(verb.files().unwrap().files, [PathBuf::from("a"), PathBuf::from("b")], "{line}");
        }
    }

    #[test]
    fn an_option_without_meaning_for_a_verb_is_refused() {
        for verb in ["version", "completion bash"] {
            assert!(words(&format!("-c a {verb}")).is_err(), "{verb}");
            assert!(words(&format!("{verb} -c a")).is_err(), "{verb}");
        }
        assert!(words("--log-level info routes").is_err());
        assert!(words("routes --log-level info").is_err());
    }

    #[test]
    fn watching_stands_before_and_after_the_verb() {
        for (line, watched) in
            [("--watch", true), ("--watch run", true), ("run --watch", true), ("run", false)]
        {
            assert!(matches!(words(line), Ok(Verb::Run(run)) if run.watch == watched), "{line}");
        }
        assert!(words("--watch check").is_err());
        assert!(words("check --watch").is_err());
    }

    #[test]
    fn each_level_is_understood() {
        for (line, level) in [
            ("--log-level trace", Some("trace")),
            ("run --log-level debug", Some("debug")),
            ("--log-level info run", Some("info")),
            ("--log-level info run --log-level warn", Some("warn")),
            ("run --log-level error", Some("error")),
            ("run", None),
        ] {
            assert_eq!(words(line).unwrap().logging().unwrap().level(), level, "{line}");
        }
        assert!(words("--log-level loud").is_err());
    }
}
