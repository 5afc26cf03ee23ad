//! The processes of plugins.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_lite::FutureExt;
use smol::Timer;
use smol::channel::{Receiver, Sender, bounded};

use crate::generation::Generation;
use crate::metrics::Counters;
use crate::plugin::Plugin;

/// How long a generation waits at most until its plugins can be called.
const READY_TIME: Duration = Duration::from_secs(10);

/// How long the end of the gate waits for the ends of processes. They are killed after four seconds.
const END_TIME: Duration = Duration::from_secs(6);

/// The processes of plugins. Each ends when no generation has its plugin any more.
pub(in crate::gate) struct PluginService {
    counters: Arc<Counters>,
    started: Mutex<Vec<Weak<Plugin>>>,
    /// Closes when all processes have ended and the sender is gone. Nothing is sent.
    alive: (Mutex<Option<Sender<Infallible>>>, Receiver<Infallible>),
}

impl PluginService {
    /// No processes yet.
    pub(in crate::gate) fn new(counters: Arc<Counters>) -> Self {
        let (sender, receiver) = bounded(1);
        Self { counters, started: Mutex::default(), alive: (Mutex::new(Some(sender)), receiver) }
    }

    /// Starts the plugins of a generation, and waits until those that are new can be called. They are told of its rules.
    pub(in crate::gate) async fn prepare(&self, generation: &Generation) {
        let used = generation.plugins.used(&generation.plan);
        for (plugin, routes) in &used {
            // Before the start, so that it is told once.
            plugin.configure(routes.clone());
            self.start(plugin);
        }
        let ready = async {
            for (plugin, _) in &used {
                plugin.ready().await;
            }
        };
        let late = async {
            Timer::after(READY_TIME).await;
            for (plugin, _) in used.iter().filter(|(plugin, _)| !plugin.is_ready()) {
                let name = &*plugin.plan().name;
                tracing::error!(
                    plugin = name,
                    "plugin is not ready; its rules act by on_failure until it is"
                );
            }
        };
        ready.or(late).await;
    }

    fn start(&self, plugin: &Arc<Plugin>) {
        let alive = self.alive.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(alive) = alive else { return };
        plugin.start(self.counters.plugin(&plugin.plan().name), alive);
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.retain(|known| known.strong_count() > 0 && known.as_ptr() != Arc::as_ptr(plugin));
        started.push(Arc::downgrade(plugin));
    }

    /// Ends all processes. The future waits for that.
    pub(in crate::gate) async fn stop(&self) {
        drop(self.alive.0.lock().unwrap_or_else(PoisonError::into_inner).take());
        let started = std::mem::take(&mut *self.started.lock().unwrap_or_else(PoisonError::into_inner));
        started.iter().filter_map(Weak::upgrade).for_each(|plugin| plugin.stop());
        let ended = async {
            // Nothing can be sent, so `recv` returns when the channel closes.
            let _ = self.alive.1.recv().await;
        };
        let late = async {
            Timer::after(END_TIME).await;
        };
        ended.or(late).await;
    }
}
