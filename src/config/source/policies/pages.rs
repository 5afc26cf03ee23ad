//! `pages` and `intercept` as written.

use std::sync::Arc;

use super::policy::policy;
use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::{did_you_mean, quoted};
use crate::config::plan::{Intercept, Pages, ReadPolicy};
use crate::config::source::messages::page;
use crate::config::syntax::{Node, Value};
use crate::config::values::policies::pages::{intercepted_status, page_key};
use crate::reason::Reason;

impl ReadPolicy<Pages> for MappingReader<'_, '_> {
    fn policy(&mut self, name: &'static str) -> Option<Option<Arc<Pages>>> {
        policy(self, name, pages)
    }
}

impl ReadPolicy<Intercept> for MappingReader<'_, '_> {
    fn policy(&mut self, name: &'static str) -> Option<Option<Arc<Intercept>>> {
        policy(self, name, |decoder, node| {
            let statuses = decoder.parsed_many(node, intercepted_status);
            Some(Intercept(statuses.into_iter().map(|status| status.value).collect()))
        })
    }
}

/// A mapping of statuses, classes and reasons to files.
fn pages(decoder: &mut Decoder<'_>, node: Node) -> Option<Pages> {
    let Value::Map(entries) = node.value else {
        let hint = "write `{ 404: FILE, 5xx: FILE }`";
        decoder.report.error_hint(node.span, "`pages` is a mapping of answers to files", hint);
        return None;
    };
    let mut pages = Vec::new();
    for (key, node) in entries {
        let page = page(decoder, node);
        match page_key(&key.value) {
            Ok(own) => pages.extend(page.map(|page| (own, page))),
            Err(error) => {
                let message = format!("{} {}", quoted(&key.value), error.problem);
                let near = did_you_mean(&key.value, Reason::ALL.iter().map(|reason| reason.code()));
                let hint = near.map(|near| format!("did you mean `{near}`?"));
                let usual = error.hint.unwrap_or_default().to_owned();
                decoder.report.error_hint(key.span, message, hint.unwrap_or(usual));
            }
        }
    }
    Some(Pages::new(pages))
}
