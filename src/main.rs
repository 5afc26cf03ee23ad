//! The verbs of the command line.

use std::process::ExitCode;

use smolgate::cli::{self, StoreAction, Verb};

fn main() -> ExitCode {
    match cli::parse() {
        Verb::Run(run) => cli::run(&run),
        Verb::Check(files) => cli::check(&files),
        Verb::Routes(files) => cli::routes(&files),
        Verb::Explain(question) => cli::explain(&question),
        Verb::Adapt(adaptation) => cli::adapt(&adaptation),
        Verb::Schema { format } => cli::schema(format),
        Verb::Reload(reload) => cli::reload(&reload),
        Verb::Healthcheck(call) => cli::healthcheck(&call),
        Verb::Certs(certs) => cli::certs(&certs),
        Verb::Upstreams(call) => cli::upstreams(&call),
        Verb::Top(call) => cli::top(&call),
        Verb::Tail(tail) => cli::tail(&tail),
        Verb::Drain(drain) => cli::drain(&drain),
        Verb::Ready(ready) => cli::ready(&ready),
        Verb::Control(verb) => cli::control(&verb),
        Verb::Translated(verb) => cli::translated(&verb),
        Verb::Demo(verb) => verb.run(cli::explained),
        Verb::Hash => cli::hash(),
        Verb::Serve(verb) => verb.run(),
        Verb::Store { what: StoreAction::Key } => cli::store_key(),
        Verb::Version => cli::version(),
        Verb::Completion { shell } => cli::completion(shell),
    }
}
