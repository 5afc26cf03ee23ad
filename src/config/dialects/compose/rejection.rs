//! Errors that reject one service.

use std::sync::Arc;

use crate::config::decode::Text;
use crate::config::diagnostics::{Report, Severity, Span};
use crate::config::source::{RuleSource, Source, no_set, no_upstream};

/// Names in other files, and in changes of the control API, which labels may use.
pub(super) struct Names {
    sets: Vec<Arc<str>>,
    upstreams: Vec<Arc<str>>,
}

impl Names {
    pub(super) fn of(source: &Source) -> Names {
        Names {
            sets: source.policies.iter().map(|set| set.name.value.clone()).collect(),
            upstreams: {
                let of_files = source.upstreams.iter().map(|upstream| &upstream.name.value);
                of_files.chain(&source.added_upstreams).cloned().collect()
            },
        }
    }

    /// Reports names that stand for nothing, and takes them out of the rule. The rule then answers with the error.
    pub(super) fn check(&self, rule: &mut RuleSource, report: &mut Report) {
        rule.policy.retain(|name| {
            let is_known = self.sets.contains(&name.value);
            if !is_known {
                no_set(name, self.sets.iter().map(|name| &**name).collect(), report);
            }
            is_known
        });
        if let Some(Some(mirror)) = &rule.policies.mirror
            && let Some(span) = mirror.upstream.place()
            && !self.upstreams.contains(&mirror.name)
        {
            let name = Text::new(mirror.name.to_string(), span, None);
            no_upstream(&name, self.upstreams.iter().map(|name| &**name), report);
            rule.policies.mirror = None;
        }
    }
}

impl Report {
    /// Adds an error that removes one service and leaves the rest of the configuration as it is.
    pub(super) fn rejection(&mut self, at: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Error, false, Some(at), message.into(), Some(hint.into()));
    }

    /// Turns the errors behind the first `count` findings into rejections of `what`. Returns the first message.
    pub(super) fn reject_since(&mut self, count: usize, what: &str) -> Option<String> {
        let mut first = None;
        for finding in self.findings[count..].iter_mut().filter(|finding| finding.fatal) {
            let rejected = format!("{what} is not served: {}", finding.message);
            first.get_or_insert(std::mem::replace(&mut finding.message, rejected));
            finding.fatal = false;
        }
        first
    }
}
