//! Policies as written: on rules, on listeners, and in named sets.

mod sets;

mod auth;
mod compress;
mod cors;
mod jwt;
mod mirror;
mod pages;
mod plugins;
mod rate_limit;
mod request_limit;
mod speed;

mod policy;

use std::sync::Arc;

use crate::config::decode::MappingReader;
use crate::config::diagnostics::Spanned;
use crate::config::plan::Policies;
use crate::config::syntax::Value;
use crate::config::values::scalar;

pub(super) use sets::sets;
pub(crate) use sets::{PolicySetSource, no_set};

/// The names of the sets of a rule or a listener, in written order.
pub(super) fn names(fields: &mut MappingReader<'_, '_>) -> Vec<Spanned<Arc<str>>> {
    let names = fields.field("policy", |decoder, node| match node.value {
        Value::Map(_) => {
            let hint = "write `policy: NAME`, and the set as `policies: { NAME: { ... } }`";
            decoder.report.error_hint(node.span, "`policy` names sets of policies", hint);
            None
        }
        _ => Some(decoder.parsed_many(node, scalar::name)),
    });
    names.unwrap_or_default()
}

/// Reports the keys of policies where they mean nothing, except those in `but`.
pub(super) fn not_here(fields: &mut MappingReader<'_, '_>, but: &[&str], why: &str, hint: &str) {
    let keys = Policies::KEYS.iter().chain(&["policy"]).copied();
    let keys: Vec<_> = keys.filter(|key| !but.contains(key)).collect();
    fields.not_here(&keys, why, hint);
}
