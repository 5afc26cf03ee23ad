//! A JSON Schema of the configuration, for editors.
//!
//! Its keys are rows of tables: those of `keys` for simple keys, and those of `mappings` for keys that are read by hand.
//! `tests/schema.rs` compares them with the keys that the readers ask for.

pub(crate) mod json;

pub(crate) mod mappings;

mod acme;
mod upstreams;
mod operation;
mod policies;
mod tls;
mod files;

mod headers;

pub(crate) mod by_hand;

pub(crate) use json::file;
pub(crate) use mappings::{native, top_keys};
