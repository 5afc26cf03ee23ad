//! Parts of rules as native YAML.
//!
//! Each function names every field of what it writes, so that the compiler finds it when there is another.

use super::keys::yaml::{list, quote, quote_key};
use super::plan::{Conditions, NamedCondition, Share};
use super::yaml_writer::Yaml;

/// Writes the conditions of a rule.
pub(super) fn write_conditions(out: &mut Yaml, conditions: &Conditions) {
    let Conditions { paths, expressions, from, not_from, headers, cookies, query, share } = conditions;
    if !paths.is_empty() {
        out.line(4, "path", list(paths.iter()));
    }
    if !expressions.is_empty() {
        out.line(4, "path_regex", list(expressions.iter()));
    }
    for (key, networks) in [("from", from), ("not_from", not_from)] {
        if !networks.is_empty() {
            out.line(4, key, list(networks.iter()));
        }
    }
    for (key, named) in [("header", headers), ("cookie", cookies), ("query", query)] {
        if !named.is_empty() {
            let pair =
                |one: &NamedCondition| format!("{}: {}", quote_key(&one.name), list(one.values.iter()));
            let pairs: Vec<String> = named.iter().map(pair).collect();
            out.line(4, key, format_args!("{{ {} }}", pairs.join(", ")));
        }
    }
    // The salt is the name of the rule.
    if let Some(share @ Share { parts: _, by, salt: _ }) = share {
        out.line(4, "share", quote(&share.to_string()));
        out.line(4, "by", quote(&by.to_string()));
    }
}
