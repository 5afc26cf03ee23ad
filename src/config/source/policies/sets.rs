//! Named sets of policies.

use std::sync::Arc;

use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::{Report, Spanned, did_you_mean, quoted};
use crate::config::plan::{HeadersWritten, LimitsWritten, PoliciesWritten};
use crate::config::source::messages::headers;
use crate::config::syntax::{Node, Value};
use crate::config::values::scalar;
use crate::http::CaptureNames;

/// One named set.
pub(crate) struct PolicySetSource {
    pub(crate) name: Spanned<Arc<str>>,
    pub(crate) policies: PoliciesWritten,
    pub(crate) limits: LimitsWritten,
    pub(crate) headers: HeadersWritten,
}

/// Reports the name of a set that does not exist.
pub(crate) fn no_set(name: &Spanned<Arc<str>>, mut known: Vec<&str>, report: &mut Report) {
    known.sort_unstable();
    let hint = match did_you_mean(&name.value, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("write `policies: {{ {}: {{ ... }} }}`", name.value),
        None => format!("the sets are {}", known.join(", ")),
    };
    report.error_hint(name.span, format!("there is no set of policies named `{}`", name.value), hint);
}

/// `policies:`, a mapping of names to sets.
pub(in crate::config::source) fn sets(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<PolicySetSource>> {
    let Value::Map(entries) = node.value else {
        let hint = "write `NAME: { rate_limit: 100/1m }`";
        decoder.report.error_hint(node.span, "`policies` is a mapping of names to policies", hint);
        return None;
    };
    let mut sets = Vec::new();
    for (key, node) in entries {
        let name = match scalar::name(&key.value) {
            Ok(value) => Spanned { value, span: key.span },
            Err(error) => {
                decoder.report.error(key.span, format!("{} {}", quoted(&key.value), error.problem));
                continue;
            }
        };
        let Some(mut fields) = MappingReader::open(decoder, node, "a set of policies") else { continue };
        let policies = PoliciesWritten::read(&mut fields).in_place(format_args!("policies.{}", name.value));
        let limits = LimitsWritten::read(&mut fields);
        let headers = headers(&mut fields, &CaptureNames::default());
        fields.close();
        sets.push(PolicySetSource { name, policies, limits, headers });
    }
    Some(sets)
}
