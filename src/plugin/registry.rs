//! The plugins of a generation.

use std::collections::HashMap;
use std::sync::Arc;

use super::chain::Chain;
use super::plugin::{Plugin, RouteText};
use crate::config::plan::{Action, Plan, PluginChain, Rule};

/// The plugins of a generation, by their names.
#[derive(Default)]
pub struct Plugins(HashMap<Arc<str>, Arc<Plugin>>);

impl Plugins {
    /// The plugins of a plan. Those that were there before are the same processes.
    pub fn new(plan: &Plan, before: Option<&Plugins>) -> Self {
        let plugins = plan.plugins.iter().map(|plugin| {
            let known = before.and_then(|before| before.0.get(&plugin.name));
            let known = known.filter(|known| known.plan() == plugin).cloned();
            (plugin.name.clone(), known.unwrap_or_else(|| Plugin::new(plugin.clone())))
        });
        Self(plugins.collect())
    }

    /// The plugins of a rule, in order.
    pub fn chain(&self, chain: &PluginChain) -> Chain {
        chain.names.iter().filter_map(|name| self.0.get(&name.name).cloned()).collect()
    }

    /// The plugins that run, each with its rules.
    pub fn used(&self, plan: &Plan) -> Vec<(Arc<Plugin>, Vec<RouteText>)> {
        let mut used: HashMap<&str, Vec<RouteText>> = HashMap::new();
        for rule in plan.listeners.iter().flat_map(|listener| listener.rules()) {
            for name in chain_of(rule).into_iter().flat_map(|chain| &chain.names) {
                used.entry(&name.name).or_default().push(route(rule));
            }
        }
        let running = self.0.values().filter_map(|plugin| {
            let routes = used.remove(&*plugin.plan().name);
            let alone = || plugin.plan().settings.autostart.then(|| vec![RouteText::default()]);
            Some((plugin.clone(), routes.or_else(alone)?))
        });
        running.collect()
    }
}

/// The plugins that a rule asks: about requests, or about connections.
fn chain_of(rule: &Rule) -> Option<&PluginChain> {
    match &rule.action {
        Action::Pass(pass) => pass.plugins.as_deref(),
        _ => rule.policies.as_ref()?.plugins.as_deref(),
    }
}

/// A rule, as plugins are told of it.
fn route(rule: &Rule) -> RouteText {
    let hosts: Vec<String> = rule.hosts.iter().map(ToString::to_string).collect();
    let path = match &*rule.path_prefix {
        _ if rule.has_path_patterns() => rule.path_text(),
        "/" => String::new(),
        prefix => format!("{prefix}/*"),
    };
    [rule.name.to_string(), hosts.join(","), path]
}
