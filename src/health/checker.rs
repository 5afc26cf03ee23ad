//! The task that checks: which endpoints, and when.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use event_listener::Event;
use futures_lite::future;
use smol::channel::{Sender, unbounded};
use smol::lock::Semaphore;

use super::check::check;
use super::http2::SPEAKS_HTTP2;
use super::progress::Progress;
use crate::config::plan::Health;
use crate::tls::Connector;
use crate::upstream::{EndpointSet, EndpointState, KnownEndpoint, UpstreamTable};

/// Checks at the same time.
const CHECKS_MAX: usize = 64;

/// The longest time between two looks at the endpoints: names change.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Checks the endpoints of the generation that is served.
pub struct Checker {
    upstreams: Mutex<Followed>,
    changed: Event,
    running: Arc<Semaphore>,
}

/// The upstreams of the generation that is served.
#[derive(Default)]
struct Followed {
    checked: Vec<Checked>,
    /// Those without a check, until the results of checks that they had before are forgotten.
    unchecked: Vec<Arc<EndpointSet>>,
}

/// An upstream whose endpoints are checked.
#[derive(Clone)]
struct Checked {
    set: Arc<EndpointSet>,
    connector: Option<Connector>,
}

/// The result of one check.
struct Outcome {
    key: usize,
    /// Held, so that no other endpoint gets the key.
    state: Arc<EndpointState>,
    /// The check that was made.
    health: Health,
    result: Result<(), String>,
}

impl Default for Checker {
    fn default() -> Self {
        let running = Arc::new(Semaphore::new(CHECKS_MAX));
        Self { upstreams: Mutex::default(), changed: Event::new(), running }
    }
}

impl Checker {
    /// Checks the upstreams of this table from now on, and no others. Endpoints that were checked before go on.
    pub fn follow(&self, table: &UpstreamTable) {
        let mut followed = Followed::default();
        for (set, connector) in table.upstreams() {
            match &set.plan.policy.health {
                Some(_) => followed.checked.push(Checked { set: set.clone(), connector: connector.cloned() }),
                None => followed.unchecked.push(set.clone()),
            }
        }
        *self.upstreams.lock().unwrap_or_else(PoisonError::into_inner) = followed;
        self.changed.notify(usize::MAX);
    }

    /// Checks for ever.
    pub async fn run(&self) {
        let mut all: HashMap<usize, Progress> = HashMap::new();
        let (sender, outcomes) = unbounded();
        loop {
            let changed = self.changed.listen();
            let (upstreams, unchecked) = {
                let mut followed = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
                (followed.checked.clone(), std::mem::take(&mut followed.unchecked))
            };
            unchecked.iter().for_each(|set| forget_checks(set));
            if upstreams.is_empty() {
                all.clear();
                changed.await;
                continue;
            }
            self.begin_due(&upstreams, &mut all, &sender);
            let look_again = async {
                smol::Timer::after(LOOK_EVERY).await;
                None
            };
            let outcome = future::or(async { outcomes.recv().await.ok() }, look_again).await;
            if let Some(outcome) = outcome {
                take(&upstreams, &mut all, outcome);
            }
        }
    }

    /// Begins the checks that are due, and forgets endpoints that have left.
    fn begin_due(&self, upstreams: &[Checked], all: &mut HashMap<usize, Progress>, sender: &Sender<Outcome>) {
        let now = Instant::now();
        let mut seen = HashMap::new();
        for checked in upstreams {
            checked.set.look_at_names(now);
            for endpoint in checked.set.list().iter().filter(|endpoint| endpoint.address.is_some()) {
                let Some(health) = &checked.set.plan.policy.health else { continue };
                let key = key_of(&endpoint.state);
                let known = all.remove(&key).filter(|known| known.health == *health);
                let mut progress = known.unwrap_or_else(|| Progress::new(health, now));
                if now >= progress.due
                    && !progress.is_running
                    && self.begin(checked, endpoint, sender.clone())
                {
                    progress.is_running = true;
                }
                seen.insert(key, progress);
            }
        }
        *all = seen;
    }

    /// Begins a check, unless too many run.
    fn begin(&self, checked: &Checked, endpoint: &KnownEndpoint, sender: Sender<Outcome>) -> bool {
        let Some(permit) = self.running.try_acquire_arc() else { return false };
        let Checked { set, connector } = checked.clone();
        let KnownEndpoint { target, address, state } = endpoint.clone();
        let (Some(health), Some(address)) = (set.plan.policy.health.clone(), address) else { return false };
        let work = move || {
            let target = &set.plan.targets[target];
            let connector = connector.as_ref().filter(|_| target.scheme.is_encrypted());
            let versions = target.versions(set.plan.settings.http2 && SPEAKS_HTTP2);
            let result = check(&health, target, &address, connector, versions);
            drop(permit);
            // Sending fails if the checker has ended, which is fine.
            let _ = sender.try_send(Outcome { key: key_of(&state), state, health, result });
        };
        smol::unblock(work).detach();
        true
    }
}

/// Lets endpoints without a check get requests again, whatever checks before a reload have said.
fn forget_checks(set: &EndpointSet) {
    let list = set.list();
    let mut down = list.iter().filter(|endpoint| endpoint.state.is_down()).peekable();
    if down.peek().is_some() {
        down.for_each(|endpoint| endpoint.state.set_down(false, Instant::now(), Duration::ZERO));
        set.wake_waiting();
    }
}

/// A number between 0 and 1. The time of a check is random enough.
fn jitter() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    f64::from(now.subsec_micros() % 1000) / 1000.0
}

fn key_of(state: &Arc<EndpointState>) -> usize {
    Arc::as_ptr(state).addr()
}

/// Takes the result of a check, if its endpoint is still there.
fn take(upstreams: &[Checked], all: &mut HashMap<usize, Progress>, outcome: Outcome) {
    let Outcome { key, state, health, result } = outcome;
    // The result of a check that a reload has changed since means nothing.
    let Some(progress) = all.get_mut(&key).filter(|progress| progress.health == health) else { return };
    let is_own = |endpoint: &&KnownEndpoint| Arc::ptr_eq(&endpoint.state, &state);
    for Checked { set, .. } in upstreams {
        let list = set.list();
        let Some(endpoint) = list.iter().find(is_own) else { continue };
        let now = Instant::now();
        let jitter = jitter();
        let is_up = !state.is_down();
        state.was_checked(result.is_ok());
        state.set_fault(result.as_ref().err().map(String::as_str));
        if !progress.take(result.is_ok(), is_up, now, jitter) {
            continue;
        }
        state.set_down(is_up, now, set.plan.policy.slow_start);
        set.wake_waiting();
        let (upstream, target) = (&*set.plan.name, endpoint.name(&set.plan));
        match result {
            Ok(()) => tracing::info!(upstream, target, "target up"),
            Err(why) => tracing::warn!(upstream, target, why, "target down: its health check failed"),
        }
        return;
    }
}
