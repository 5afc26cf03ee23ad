//! The plugins of all files, by their names.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::diagnostics::{Report, Span, did_you_mean};
use crate::config::plan::{Plugin, PluginChain};
use crate::config::source::PluginSource;

/// The names of plugins, with the places where they were written.
pub(super) struct PluginNames(HashMap<Arc<str>, Span>);

impl PluginNames {
    /// The plugins and their names. A name that stands twice is an error.
    pub(super) fn named(sources: Vec<PluginSource>, report: &mut Report) -> (Self, Vec<Plugin>) {
        let mut names: HashMap<Arc<str>, Span> = HashMap::new();
        let mut plugins = Vec::with_capacity(sources.len());
        for plugin in sources {
            if let Some(first) = names.get(&plugin.value.name) {
                let message = format!("two plugins are named `{}`", plugin.value.name);
                let first = report.place(*first);
                report.error_hint(plugin.span, message, format!("the first one is at {first}"));
            } else {
                names.insert(plugin.value.name.clone(), plugin.span);
                plugins.push(plugin.value);
            }
        }
        (Self(names), plugins)
    }

    /// Reports names of a rule that no plugin has.
    pub(super) fn check(&self, chain: &PluginChain, report: &mut Report) {
        for name in chain.names.iter().filter(|name| !self.0.contains_key(&name.name)) {
            let mut known: Vec<&str> = self.0.keys().map(|name| &**name).collect();
            known.sort_unstable();
            let hint = match did_you_mean(&name.name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => {
                    format!("write `plugins: {{ {}: {{ run: PROGRAM }} }}` at the top of a file", name.name)
                }
                None => format!("the plugins are {}", known.join(", ")),
            };
            report.error_hint(name.place.into(), format!("there is no plugin named `{}`", name.name), hint);
        }
    }
}
