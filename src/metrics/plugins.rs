//! The counters of plugins. All workers write them: a call takes a thousand times longer than a locked instruction.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::page::{Kind, Page};
use super::registry::Counters;
use super::series::OTHER;
use super::worker_set::lock;

/// Plugins of the process that have series of their own. Further ones share one.
const PLUGINS_MAX: usize = 100;

/// The hooks, in the order of their numbers.
const HOOKS: [&str; 4] = ["on_request", "on_response", "on_connect", "on_disconnect"];

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginResult {
    /// An answer, by which the request goes on.
    Ok,
    /// An answer, by which it does not.
    Refused,
    /// No answer in time.
    Timeout,
    /// No answer, or one that is none.
    Failed,
    /// No call was made: too many are open, the plugin is not ready, or its last calls have failed.
    Busy,
}

impl PluginResult {
    const ALL: [Self; 5] = [Self::Ok, Self::Refused, Self::Timeout, Self::Failed, Self::Busy];

    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Failed => "failed",
            Self::Busy => "busy",
        }
    }
}

/// The counters of a plugin.
#[derive(Debug, Default)]
pub struct PluginCounters {
    up: AtomicBool,
    calls: [[AtomicU64; PluginResult::ALL.len()]; HOOKS.len()],
    restarts: AtomicU64,
}

/// The counters of all plugins, by name.
pub(super) type AllPlugins = BTreeMap<Arc<str>, Arc<PluginCounters>>;

impl PluginCounters {
    /// Sets whether it can be called.
    pub fn set_up(&self, up: bool) {
        self.up.store(up, Relaxed);
    }

    /// Counts a call of the hook with this index.
    pub fn call(&self, hook: usize, result: PluginResult) {
        self.calls[hook][result as usize].fetch_add(1, Relaxed);
    }

    /// Counts a start after the first.
    pub fn restart(&self) {
        self.restarts.fetch_add(1, Relaxed);
    }
}

impl Counters {
    /// The counters of a plugin.
    pub fn plugin(&self, name: &Arc<str>) -> Arc<PluginCounters> {
        let mut plugins = lock(&self.plugins);
        let is_new = !plugins.contains_key(name);
        let name = if is_new && plugins.len() >= PLUGINS_MAX { Arc::from(OTHER) } else { name.clone() };
        plugins.entry(name).or_default().clone()
    }

    pub(super) fn render_plugins(&self, page: &mut Page) {
        let plugins = lock(&self.plugins);
        page.family("smolgate_plugin_up", Kind::Gauge, "Whether each plugin can be called.");
        for (name, counters) in plugins.iter() {
            page.sample("", &[("plugin", name)], u8::from(counters.up.load(Relaxed)));
        }
        page.family("smolgate_plugin_calls_total", Kind::Counter, "Calls of plugins, by hook and result.");
        for (name, counters) in plugins.iter() {
            for (hook, results) in HOOKS.iter().zip(&counters.calls) {
                for result in PluginResult::ALL {
                    let count = results[result as usize].load(Relaxed);
                    if count > 0 {
                        let labels = [("plugin", &**name), ("hook", hook), ("result", result.label())];
                        page.sample("", &labels, count);
                    }
                }
            }
        }
        page.family(
            "smolgate_plugin_restarts_total",
            Kind::Counter,
            "Starts of the process of each plugin after the first.",
        );
        for (name, counters) in plugins.iter() {
            page.sample("", &[("plugin", name)], counters.restarts.load(Relaxed));
        }
    }
}
