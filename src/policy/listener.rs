//! The policies of a listener's rules.

use std::collections::HashMap;

use super::jwt::KeySets;
use super::limits::{ConcurrencyLimit, SharedSpeeds};
use super::rule::RulePolicies;
use crate::config::plan::{Action, HttpListener, Policies, Rule};

/// The policies of a listener's rules.
pub struct ListenerPolicies {
    /// One entry for each rule; `None` for a rule without policies.
    rules: Box<[Option<Box<RulePolicies>>]>,
    /// The limit on all requests.
    max_requests: Option<ConcurrencyLimit>,
}

impl ListenerPolicies {
    /// The policies of the rules. `None` if no rule has any. `before` is the listener until now: a rule with the same
    /// name keeps its counts. `keys` are the sets that are fetched.
    pub fn build(
        http: &HttpListener,
        speeds: &SharedSpeeds,
        keys: &KeySets,
        before: Option<(&HttpListener, &ListenerPolicies)>,
    ) -> Option<Self> {
        let has_some = http.max_requests.is_some() || http.rules.iter().any(|rule| rule.policies.is_some());
        if !has_some {
            return None;
        }
        let known: HashMap<&str, &RulePolicies> = before.map_or_else(HashMap::new, |(http, policies)| {
            let rules = http.rules.iter().zip(&policies.rules);
            rules.filter_map(|(rule, policies)| Some((&*rule.name, policies.as_deref()?))).collect()
        });
        let limit_before = before.and_then(|(_, policies)| policies.max_requests.as_ref());
        let max_requests = http.max_requests.as_ref().map(|limit| ConcurrencyLimit::new(limit, limit_before));
        let of_listener = http.max_requests.as_ref().zip(max_requests.as_ref());
        let none = Policies::default();
        let is_limited =
            |rule: &Rule| of_listener.is_some() && !matches!(rule.action, Action::Pass(_) | Action::Drop);
        let rules = http.rules.iter().map(|rule| {
            let policies = rule.policies.as_deref();
            let policies = policies.or(is_limited(rule).then_some(&none))?;
            let before = known.get(&*rule.name).copied();
            Some(Box::new(RulePolicies::new(policies, of_listener, speeds, keys, before)))
        });
        Some(Self { rules: rules.collect(), max_requests })
    }

    /// The policies of the rule with this index. `None` if it has none.
    pub fn of(&self, rule: usize) -> Option<&RulePolicies> {
        self.rules.get(rule)?.as_deref()
    }
}
