//! Compose files: the labels of services become rules.
//!
//! ```text
//! file --reader--> tree --project--> services --labels, service--> Route --rules, listeners--> Source
//!      variables      override, include,      labels of each,       order, responses
//!                     extends, profiles       ports, networks       for rejected ones
//! ```
//!
//! This dialect makes only rules for the listeners `http` and `https` of the `Source`. Their order has the meaning of the
//! labels: passed-on hosts first, then redirects, exact hosts, wildcards, any host, longest path first. `lowering` does the rest
//! and knows no labels. An error in one service rejects that service and no other. Docker is never asked.

mod front;

mod conflicts;
mod listeners;
mod rules;

mod service;

mod networks;
mod route;

mod labels;

mod project;

pub(super) use front::read;
