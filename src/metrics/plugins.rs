//! The counters of plugins. All workers write them: a call takes a thousand times longer than a locked instruction.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Plugins of the process that have series of their own. Further ones share one.
pub(super) const PLUGINS_MAX: usize = 100;

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

    /// 1 if it can be called, else 0.
    pub(super) fn is_up(&self) -> u8 {
        self.up.load(Relaxed).into()
    }

    /// The hook, the result and the number of its calls, where there are any.
    pub(super) fn calls(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let of_hook = |(hook, results): (&'static str, &'_ [AtomicU64; PluginResult::ALL.len()])| {
            let counts = PluginResult::ALL
                .map(|result| (hook, result.label(), results[result as usize].load(Relaxed)));
            counts.into_iter().filter(|(.., count)| *count > 0)
        };
        HOOKS.into_iter().zip(&self.calls).flat_map(of_hook)
    }

    /// Starts after the first.
    pub(super) fn restarts(&self) -> u64 {
        self.restarts.load(Relaxed)
    }

    /// Counts a start after the first.
    pub fn restart(&self) {
        self.restarts.fetch_add(1, Relaxed);
    }
}
