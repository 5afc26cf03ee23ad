//! The labels of services: those that there are, those of a service, and a schema of them.

mod schema;

mod labels;

pub(super) use labels::{Key, Label, Labels, PREFIXES, With, misspelled, read};
pub(super) use schema::schema;
