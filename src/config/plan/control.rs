//! Changes that the control API makes while the gate runs.

use std::path::PathBuf;

use serde_json::{Map, Value};

/// The place of the changes that the control API has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverlayPlace {
    /// They end with the process.
    Memory,
    /// A file, which is written anew with each change.
    File(PathBuf),
}

impl OverlayPlace {
    /// The path of the file.
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Memory => None,
            Self::File(path) => Some(path),
        }
    }
}

/// A change of the configuration that the control API asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A route, as the body of the request has it.
    AddRoute(Map<String, Value>),
    /// Removes a route.
    RemoveRoute {
        /// Its name.
        name: String,
        /// The name of its listener. `None`: only one listener has a route of that name.
        listener: Option<String>,
    },
    /// A server of an upstream, or a whole upstream, as the body of the request has it.
    AddUpstream(Map<String, Value>),
    /// Removes a server of an upstream.
    RemoveServer {
        /// The name of the upstream.
        name: String,
        /// Host and port of the server.
        server: String,
    },
}

/// The reason why a change cannot be made, if it is not that the result would be invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// There is one of that name already, or a rule needs what would be removed.
    Taken,
    /// There is nothing of that name.
    Missing,
}

/// The mode of a file that has modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All requests go to one upstream.
    LoadBalancer,
    /// Routes say where requests go.
    ApiGateway,
}
