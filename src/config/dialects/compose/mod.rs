//! Compose files: the labels of services become rules.
//!
//! ```text
//! file --reader--> tree --project--> services --labels, service--> Route --rules, listeners--> Source
//!      variables      several, include,       labels of each,       order, responses
//!                     extends, profiles       ports, networks       for rejected ones
//! ```
//!
//! This dialect makes only rules for the listeners `http` and `https` of the `Source`. Their order has the meaning of the
//! labels: passed-on hosts first, then redirects, exact hosts, wildcards, any host, longest path first. `lowering` does the rest
//! and knows no labels. An error in one service rejects that service and no other. Docker is never asked.

mod front;

mod sets;
mod shares;

mod conflicts;
mod listeners;
mod rules;

mod foreign;

mod service;

mod networks;
mod route;

mod gate;

mod labels;

mod files;

mod project;

mod patterns;
mod rejection;

use super::dialect::{Dialect, FileOption, ForeignLabels};

/// The row of the table.
pub(super) const DIALECT: Dialect = Dialect {
    name: "compose",
    about: "Services with labels",
    keys: &["services", "include"],
    shared: &[],
    default_files: &files::NAMES,
    common_files: &[],
    option: Some(FileOption {
        about: "Compose file whose labels define the routes, or a folder with one, or several of one project \
                with : between them; may be given several times, and may hold * and ?",
        variables: &["SMOLGATE_COMPOSE_FILE", "LITEPROXY_COMPOSE_FILE"],
        default_variable: files::LIST,
        expand: files::expand,
    }),
    syntax: None,
    schema: labels::schema,
    describe: Some(front::describe),
    foreign: Some(ForeignLabels { names: &foreign::NAMES, adapt: front::adapt }),
    uses_names: true,
    read: front::read,
};
