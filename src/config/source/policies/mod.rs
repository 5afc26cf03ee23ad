//! Policies as written: on rules, on listeners, and in named sets.

mod sets;

mod auth;
mod cors;
mod jwt;
mod rate_limit;
mod request_limit;

mod policy;

use std::sync::Arc;

use crate::config::decode::MappingReader;
use crate::config::diagnostics::Spanned;
use crate::config::plan::Policies;
use crate::config::values::scalar;

pub(crate) use sets::PolicySetSource;
pub(super) use sets::sets;

/// The names of the sets of a rule or a listener, in written order.
pub(super) fn names(fields: &mut MappingReader<'_, '_>) -> Vec<Spanned<Arc<str>>> {
    let names = fields.field("policy", |decoder, node| Some(decoder.parsed_many(node, scalar::name)));
    names.unwrap_or_default()
}

/// Reports the keys of policies where they mean nothing.
pub(super) fn not_here(fields: &mut MappingReader<'_, '_>, why: &str, hint: &str) {
    fields.not_here(Policies::KEYS, why, hint);
    fields.not_here(&["policy"], why, hint);
}
