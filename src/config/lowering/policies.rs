//! Policies of listeners and named sets, which rules inherit.
//!
//! A key of a rule comes before that of its sets, and a set before the listener. Of several sets, the first that has
//! the key counts.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::diagnostics::{Report, Spanned, did_you_mean};
use crate::config::plan::{HeadersWritten, Limits, LimitsWritten, Policies, PoliciesWritten, RequestLimit};
use crate::config::source::PolicySetSource;

/// The named sets of all files.
pub(super) struct PolicySets(HashMap<Arc<str>, PolicySetSource>);

impl PolicySets {
    /// The sets by their names. A name that stands twice is an error.
    pub(super) fn named(sources: Vec<PolicySetSource>, report: &mut Report) -> Self {
        let mut sets: HashMap<Arc<str>, PolicySetSource> = HashMap::new();
        for set in sources {
            if let Some(first) = sets.get(&set.name.value) {
                let message = format!("two sets of policies are named `{}`", set.name.value);
                let first = report.place(first.name.span);
                report.error_hint(set.name.span, message, format!("the first one is at {first}"));
            } else {
                sets.insert(set.name.value.clone(), set);
            }
        }
        Self(sets)
    }

    fn find(&self, name: &Spanned<Arc<str>>, report: &mut Report) -> Option<&PolicySetSource> {
        let found = self.0.get(&name.value);
        if found.is_none() {
            let mut names: Vec<&str> = self.0.keys().map(|name| &**name).collect();
            names.sort_unstable();
            let hint = match did_you_mean(&name.value, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => format!("write `policies: {{ {}: {{ ... }} }}`", name.value),
                None => format!("the sets are {}", names.join(", ")),
            };
            report.error_hint(name.span, format!("there is no set of policies named `{}`", name.value), hint);
        }
        found
    }
}

/// The policies and limits of a rule that says nothing itself.
#[derive(Clone, Default)]
pub(super) struct Defaults {
    pub(super) policies: PoliciesWritten,
    pub(super) limits: Limits,
    pub(super) headers: HeadersWritten,
    /// Whether the listener limits the open requests of all of its rules together.
    pub(super) limits_requests: bool,
}

impl Defaults {
    /// The policies of a rule that are in force. `false` for `max_requests` exempts it from the limit of the listener.
    pub(super) fn settle(&self, of_rule: &PoliciesWritten) -> Option<Arc<Policies>> {
        let mut all = of_rule.over(&self.policies);
        if self.limits_requests && all.max_requests == Some(None) {
            all.max_requests = Some(Some(Arc::new(RequestLimit::none())));
        }
        all.settle()
    }

    /// These, with what was written in their place.
    pub(super) fn with(
        &self,
        policies: &PoliciesWritten,
        limits: &LimitsWritten,
        headers: &HeadersWritten,
    ) -> Self {
        Self {
            policies: policies.over(&self.policies),
            limits: self.limits.with(limits),
            headers: headers.over(&self.headers),
            limits_requests: self.limits_requests,
        }
    }

    /// These, with the sets of these names in their place.
    pub(super) fn below(&self, names: &[Spanned<Arc<str>>], sets: &PolicySets, report: &mut Report) -> Self {
        let found = names.iter().filter_map(|name| sets.find(name, report)).collect::<Vec<_>>();
        found
            .iter()
            .rev()
            .fold(self.clone(), |below, set| below.with(&set.policies, &set.limits, &set.headers))
    }
}
