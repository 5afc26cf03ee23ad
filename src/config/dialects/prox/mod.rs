//! Files of prox: services with routes in order, in JSON5.
//!
//! Each service is a listener, and each route a rule, named by the service and its index as in prox. Everything is made of
//! what native files have. A key without a counterpart is an error, if leaving it out would let requests pass or go
//! elsewhere, and else a warning.

mod services;

mod acme;
mod routes;

mod matches;

mod actions;

mod files;

mod json5;

mod keys;
mod values;

mod schema;

use std::path::Path;

use super::dialect::{Dialect, OwnSyntax};
use crate::config::syntax::{Node, Value};

/// The row of the table.
pub(super) const DIALECT: Dialect = Dialect {
    name: "prox",
    about: "Services and routes of prox",
    keys: &["actions"],
    shared: &["services", "plugins", "resources", "listen", "routes"],
    default_files: &[],
    common_files: &["config.json5", "/etc/prox/config.json5"],
    option: None,
    syntax: Some(OwnSyntax {
        suffix: "json5",
        takes: |path, text| json5::takes(path, text, is_prox),
        parse: json5::parse,
        is_own: |path, root| is_json5(path) || is_prox(root),
    }),
    schema: schema::schema,
    describe: None,
    foreign: None,
    uses_names: false,
    read: |files, source, inputs, report| {
        services::read(files.into_iter().flatten().collect(), source, inputs, report);
    },
};

fn is_json5(path: &Path) -> bool {
    path.extension().is_some_and(|name| name == "json5")
}

/// Whether a root file is one of prox, by its keys: `services` is a key of compose files too.
fn is_prox(root: &Node) -> bool {
    let is_service = |service: &Node| ["listen", "routes"].iter().any(|key| service.get(key).is_some());
    let Some(Value::Map(services)) = root.get("services").map(|services| &services.value) else {
        return false;
    };
    root.get("actions").is_some() || services.iter().any(|(_, service)| is_service(service))
}
