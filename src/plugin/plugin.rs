//! A plugin: what workers and the task of its process share.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use event_listener::{Event, EventListener};
use smol::channel::{Receiver, Sender, bounded};

use super::protocol::frame::{Encoding, Hook};
use super::protocol::messages::DisconnectInfo;
use crate::config::plan::{OnFailure, Plugin as PluginPlan};
use crate::metrics::PluginCounters;

/// Failed calls in a row after which calls are not tried for a while.
const FAILURES_MAX: u32 = 5;

/// How long calls are not tried then.
const DOWN_TIME: Duration = Duration::from_secs(1);

/// Ends of exchanges that wait to be told.
const ENDS_MAX: usize = 256;

/// A plugin of one or several generations. Its process ends with the last of them.
pub struct Plugin {
    pub(super) shared: Arc<Shared>,
    /// Closed when the process is to end. Nothing is sent.
    stop: Sender<Infallible>,
    stopped: Mutex<Option<Receiver<Infallible>>>,
}

/// The state that workers and the task of the process share.
pub(super) struct Shared {
    pub(super) plan: PluginPlan,
    /// `None` while calls cannot be made.
    ready: ArcSwapOption<Ready>,
    /// Notified when `ready` has changed.
    changed: Event,
    /// The number of the last `ready`.
    epochs: AtomicU64,
    open_calls: AtomicUsize,
    /// Calls that have failed in a row.
    failures: AtomicU32,
    /// Calls are not tried before then, in milliseconds since `began`.
    down_until: AtomicU64,
    began: Instant,
    /// The rules that ask it: name, host and path.
    routes: Mutex<Vec<RouteText>>,
    /// Notified when they have changed, or are to be told again.
    routes_changed: Event,
    ends: (Sender<DisconnectInfo>, Receiver<DisconnectInfo>),
    counters: OnceLock<Arc<PluginCounters>>,
}

/// A rule as a plugin is told of it: its name, host and path.
pub type RouteText = [String; 3];

/// A process that can be called.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) socket: String,
    /// The process that has to be at the other end.
    pub(super) process: u32,
    /// The set of hooks.
    pub(super) hooks: u8,
    pub(super) encoding: Encoding,
    /// It wants to see bodies.
    pub(super) body: bool,
    /// Connections of another number belong to another process or socket.
    pub(super) epoch: u64,
}

/// A call that goes on. It is counted until this is dropped.
pub(super) struct OpenCall<'a>(&'a Shared);

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        self.0.open_calls.fetch_sub(1, Relaxed);
    }
}

impl Plugin {
    /// A plugin whose process does not run yet.
    pub fn new(plan: PluginPlan) -> Arc<Self> {
        let (stop, stopped) = bounded(1);
        let shared = Arc::new(Shared {
            plan,
            ready: ArcSwapOption::empty(),
            changed: Event::new(),
            epochs: AtomicU64::new(0),
            open_calls: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            down_until: AtomicU64::new(0),
            began: Instant::now(),
            routes: Mutex::default(),
            routes_changed: Event::new(),
            ends: bounded(ENDS_MAX),
            counters: OnceLock::new(),
        });
        Arc::new(Self { shared, stop, stopped: Mutex::new(Some(stopped)) })
    }

    /// The plugin as configured.
    pub fn plan(&self) -> &PluginPlan {
        &self.shared.plan
    }

    /// Takes what closes when the process is to end. `None` if the process was started already.
    pub(super) fn take_stop(&self, counters: Arc<PluginCounters>) -> Option<Receiver<Infallible>> {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        // It is set nowhere else.
        let _ = self.shared.counters.set(counters);
        Some(stopped)
    }

    /// Tells the process of these rules, now and after each start.
    pub fn configure(&self, routes: Vec<RouteText>) {
        *self.shared.routes() = routes;
        self.shared.routes_changed.notify(usize::MAX);
    }

    /// Ends the process. Calls fail from now on.
    pub fn stop(&self) {
        self.stop.close();
    }

    /// Whether it can be called.
    pub fn is_ready(&self) -> bool {
        self.shared.ready.load().is_some()
    }

    /// Waits until it can be called.
    pub async fn ready(&self) {
        loop {
            let changed = self.shared.changed.listen();
            if self.is_ready() {
                return;
            }
            changed.await;
        }
    }

    /// Whether requests go on for which a call fails.
    pub(super) fn allows_on_failure(&self) -> bool {
        self.shared.plan.settings.on_failure == OnFailure::Allow
    }

    /// Whether it has the hook, as far as it is ready.
    pub(super) fn has(&self, hook: Hook) -> bool {
        self.shared.ready.load().as_ref().is_some_and(|ready| ready.hooks & hook.bit() != 0)
    }

    /// Whether it wants to see bodies.
    pub(super) fn wants_body(&self) -> bool {
        self.shared.ready.load().as_ref().is_some_and(|ready| ready.body)
    }

    /// Tells it of the end of an exchange, later. If too many wait, it is not told.
    pub(super) fn tell_end(&self, info: DisconnectInfo) {
        if self.shared.ends.0.try_send(info).is_err() {
            self.shared.count(Hook::Disconnect, CallResult::Busy);
        }
    }
}

/// The result of a call, for its count.
pub(super) use crate::metrics::PluginResult as CallResult;

impl Shared {
    /// The state of the process, if it can be called.
    pub(super) fn ready(&self) -> Option<Arc<Ready>> {
        self.ready.load_full()
    }

    /// Sets or clears the state of the process. What is equal to the state until now, but for its number, is no change.
    pub(super) fn set_ready(&self, ready: Option<Ready>) {
        let before = self.ready.load_full();
        let ready = ready.map(|ready| match &before {
            Some(before) if before.socket == ready.socket && before.process == ready.process => {
                Ready { epoch: before.epoch, ..ready }
            }
            _ => Ready { epoch: self.epochs.fetch_add(1, Relaxed) + 1, ..ready },
        });
        if ready.is_some() && before.is_none() {
            self.failures.store(0, Relaxed);
            self.down_until.store(0, Relaxed);
        }
        if let Some(counters) = self.counters.get() {
            counters.set_up(ready.is_some());
        }
        self.ready.store(ready.map(Arc::new));
        self.changed.notify(usize::MAX);
    }

    /// The rules that ask it.
    pub(super) fn routes(&self) -> MutexGuard<'_, Vec<RouteText>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the rules are to be told again.
    pub(super) fn routes_changed(&self) -> EventListener {
        self.routes_changed.listen()
    }

    /// The ends of exchanges that are to be told.
    pub(super) fn ends(&self) -> &Receiver<DisconnectInfo> {
        &self.ends.1
    }

    /// Begins a call. `None` if as many are open as may be.
    pub(super) fn begin(&self) -> Option<OpenCall<'_>> {
        let before = self.open_calls.fetch_add(1, Relaxed);
        let call = OpenCall(self);
        (before < self.plan.settings.max_calls).then_some(call)
    }

    /// Whether calls are not tried, because several have failed in a row.
    pub(super) fn is_down(&self) -> bool {
        let until = self.down_until.load(Relaxed);
        until != 0 && u128::from(until) > self.began.elapsed().as_millis()
    }

    /// Records whether a call has failed.
    pub(super) fn record(&self, hook: Hook, result: CallResult) {
        self.count(hook, result);
        match result {
            CallResult::Ok | CallResult::Refused if self.failures.load(Relaxed) != 0 => {
                self.failures.store(0, Relaxed);
            }
            CallResult::Timeout | CallResult::Failed
                if self.failures.fetch_add(1, Relaxed) + 1 >= FAILURES_MAX =>
            {
                let until = (self.began.elapsed() + DOWN_TIME).as_millis() as u64;
                self.down_until.store(until, Relaxed);
            }
            _ => {}
        }
    }

    pub(super) fn count(&self, hook: Hook, result: CallResult) {
        if let Some(counters) = self.counters.get() {
            counters.call(hook as usize - 1, result);
        }
    }

    /// Records that the process is started again.
    pub(super) fn count_restart(&self) {
        if let Some(counters) = self.counters.get() {
            counters.restart();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::plan::{PluginEnvironment, PluginSettings};

    fn plugin() -> Arc<Plugin> {
        Plugin::new(PluginPlan {
            name: "p".into(),
            command: PathBuf::from("p"),
            arguments: Vec::new(),
            environment: PluginEnvironment::Named(Vec::new()),
            settings: PluginSettings { max_calls: 2, ..PluginSettings::default() },
        })
    }

    fn ready(socket: &str, process: u32, hooks: u8) -> Option<Ready> {
        let socket = socket.to_owned();
        Some(Ready { socket, process, hooks, encoding: Encoding::Json, body: false, epoch: 0 })
    }

    #[test]
    fn the_same_socket_again_is_no_change_of_connections() {
        let plugin = plugin();
        let epoch = |state: Option<Ready>| {
            plugin.shared.set_ready(state);
            plugin.shared.ready().map(|ready| ready.epoch)
        };
        assert_eq!(epoch(ready("/a", 1, 2)), Some(1));
        assert_eq!(epoch(ready("/a", 1, 4)), Some(1));
        assert!(plugin.has(Hook::Response) && !plugin.has(Hook::Request));
        assert_eq!(epoch(ready("/b", 1, 4)), Some(2));
        assert_eq!(epoch(None), None);
        assert_eq!(epoch(ready("/b", 2, 4)), Some(3));
    }

    #[test]
    fn only_so_many_calls_are_open() {
        let plugin = plugin();
        let calls = [plugin.shared.begin(), plugin.shared.begin()];
        assert!(calls.iter().all(Option::is_some));
        assert!(plugin.shared.begin().is_none());
        drop(calls);
        assert!(plugin.shared.begin().is_some());
    }

    #[test]
    fn a_plugin_that_fails_again_and_again_is_left_alone() {
        let plugin = plugin();
        let fail = || plugin.shared.record(Hook::Request, CallResult::Timeout);
        (0..FAILURES_MAX - 1).for_each(|_| fail());
        plugin.shared.record(Hook::Request, CallResult::Ok);
        (0..FAILURES_MAX - 1).for_each(|_| fail());
        assert!(!plugin.shared.is_down());
        fail();
        assert!(plugin.shared.is_down());
        plugin.shared.set_ready(ready("/a", 1, 2));
        assert!(!plugin.shared.is_down(), "another process has another chance");
    }
}
