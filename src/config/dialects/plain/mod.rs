//! The common part of dialects whose files are one plain mapping: values of which little is filled in, keys without a value
//! that count as missing, and rules that are made of them.

mod read;

mod notation;
mod rules;
mod values;

#[allow(unused_imports, reason = "a dialect that can be left out alone uses it")]
pub(super) use notation::PlainNotation;
pub(super) use read::each;
pub(super) use rules::{exact, forward, listener, matching, named, response};
pub(super) use values::{json, networks, seconds, some_seconds};
