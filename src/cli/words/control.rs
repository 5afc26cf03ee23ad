//! The verbs of the feature `control`: the status of a running gate, and changes of its routes and upstreams.

use clap::{Args, Subcommand};

use super::call::Call;
use crate::cli::files::Files;

/// The verbs of the control API.
#[derive(Debug, Subcommand)]
pub enum ControlVerb {
    /// Print the status of a running gate, as JSON
    Status(Call),
    /// Add a route to a running gate
    AddRoute(Route),
    /// Remove a route from a running gate
    RemoveRoute(RouteName),
    /// Add a server to an upstream of a running gate, or make an upstream of it
    AddUpstream(Server),
    /// Remove a server from an upstream of a running gate
    RemoveUpstream(Server),
}

/// The arguments of `add-route`.
#[derive(Args, Debug)]
pub struct Route {
    /// The address of the internal API.
    #[command(flatten)]
    pub call: Call,
    /// The name of the route
    pub name: String,
    /// The regular expression that paths match
    #[arg(value_name = "PATTERN")]
    pub pattern: String,
    /// The upstream that gets the requests
    pub upstream: String,
    /// A method that the route takes; others get 405. Without it, any
    #[arg(short = 'X', long = "method", value_name = "METHOD")]
    pub methods: Vec<String>,
    /// Take the part of the path that matches off
    #[arg(long)]
    pub strip_prefix: bool,
    /// The listener of the route, if there are several
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
}

/// The arguments of `remove-route`.
#[derive(Args, Debug)]
pub struct RouteName {
    /// The address of the internal API.
    #[command(flatten)]
    pub call: Call,
    /// The name of the route
    pub name: String,
    /// The listener of the route, if several have one of that name
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
}

/// The arguments of `add-upstream` and `remove-upstream`.
#[derive(Args, Debug)]
pub struct Server {
    /// The address of the internal API.
    #[command(flatten)]
    pub call: Call,
    /// The name of the upstream
    pub name: String,
    /// Host and port of the server
    #[arg(value_name = "HOST:PORT")]
    pub server: String,
}

impl ControlVerb {
    /// The verb's own files.
    pub(in crate::cli) fn files(&mut self) -> &mut Files {
        match self {
            Self::Status(call)
            | Self::AddRoute(Route { call, .. })
            | Self::RemoveRoute(RouteName { call, .. })
            | Self::AddUpstream(Server { call, .. })
            | Self::RemoveUpstream(Server { call, .. }) => &mut call.files,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::arguments::words;

    #[test]
    fn verbs_have_their_words() {
        for line in ["status", "add-route a ^/a b", "remove-route a", "-c f.yml remove-upstream a b:1"] {
            assert!(words(line).is_ok(), "{line}");
        }
        for line in ["status a", "add-route a b", "remove-route", "add-upstream a"] {
            assert!(words(line).is_err(), "{line}");
        }
    }
}
