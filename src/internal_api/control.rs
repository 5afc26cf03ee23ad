//! What the internal API asks of the gate.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use crate::config::plan::Plan;
use crate::metrics::Counters;

/// The future of a reload: one line of what changed and how long it took, or the whole diagnostic.
pub type ReloadFuture<'a> = Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>>;

/// The future of an answer of the workers, which comes soon in any case.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Phase> + Send + 'a>>;

/// Whoever runs the gate.
pub trait Control: Send + Sync + 'static {
    /// Reads the configuration again and puts it in place; with `restart`, tears every listener
    /// down first. A second call waits for the first. Never dropped before it ends.
    fn reload(&self, restart: bool) -> ReloadFuture<'_>;

    /// The plan that runs.
    fn plan(&self) -> Arc<Plan>;

    /// The counters of the process.
    fn counters(&self) -> Arc<Counters>;

    /// Where in its life the gate is. That it is ready is asked of its workers.
    fn phase(&self) -> Asking<'_>;

    /// Which configuration runs; 1 is the first.
    fn generation(&self) -> u64;

    /// When the gate started.
    fn started(&self) -> SystemTime;

    /// The plan that runs, as YAML, without its secrets.
    fn view(&self) -> String;
}

/// Where in its life the gate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not all listeners accept yet.
    Starting,
    /// Serving.
    Ready,
    /// A worker does not answer, or has ended.
    Unresponsive,
    /// Stopping: what is in flight ends, nothing new should be sent here.
    Draining,
}

impl Phase {
    /// One lower-case word.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Unresponsive => "unresponsive",
            Phase::Draining => "draining",
        }
    }
}
