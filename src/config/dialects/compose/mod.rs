//! Compose files: the labels of services become rules.
//!
//! ```text
//! file --reader--> tree --project--> services --labels, routes--> Route --rules, listeners--> Source
//!      variables      override, include,      what each asks for,    order, answers
//!                     extends, profiles       ports, networks        for rejected ones
//! ```
//!
//! A front end: all it makes are rules for the listeners `http` and `https` of the `Source`, in an order
//! that says what the labels mean (what is passed on first, redirects, exact hosts, wildcards, longest path
//! first); `lowering` does the rest and knows of no label. What is wrong with one service rejects that
//! service and no other. Nothing asks Docker anything.

mod front;

mod conflicts;
mod listeners;
mod rules;

mod routes;

mod networks;
mod ports;

mod labels;

mod project;

pub(super) use front::read;
