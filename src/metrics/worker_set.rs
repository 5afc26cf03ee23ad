//! The counters of one worker, as the process sees them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::counter::Counter;
use super::series::{EndpointCounters, ListenerCounters, OTHER, SeriesKey, UpstreamCounters};
use crate::reason::Reason;

/// Names of listeners, and of upstreams, that one worker keeps over all reloads; further ones are `other`.
pub const NAMES_MAX: usize = 1_024;

/// Locks a mutex, even after a panic. The data behind these locks is valid after every statement.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The counters of one worker, as the process sees them.
#[derive(Debug)]
pub(super) struct WorkerSet {
    pub(super) listeners: Names<ListenerCounters>,
    pub(super) upstreams: Names<UpstreamCounters>,
    /// By the names of the upstream and of the endpoint.
    pub(super) endpoints: Names<EndpointCounters>,
    pub(super) series: Mutex<HashMap<SeriesKey, Arc<Counter>>>,
    pub(super) reasons: Box<[Counter]>,
}

impl WorkerSet {
    pub(super) fn new() -> WorkerSet {
        WorkerSet {
            listeners: Names::default(),
            upstreams: Names::default(),
            endpoints: Names::default(),
            series: Mutex::default(),
            reasons: Reason::ALL.iter().map(|_| Counter::default()).collect(),
        }
    }
}

/// A bounded table of named counters.
#[derive(Debug)]
pub(super) struct Names<T>(pub(super) Mutex<Vec<(Arc<str>, Arc<T>)>>);

impl<T> Default for Names<T> {
    fn default() -> Self {
        Names(Mutex::default())
    }
}

impl<T> Names<T> {
    pub(super) fn get(&self, name: &Arc<str>, fits: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> Arc<T> {
        let mut names = lock(&self.0);
        let find = |names: &Vec<(Arc<str>, Arc<T>)>, name: &str| {
            names
                .iter()
                .find(|(known, value)| **known == *name && fits(value))
                .map(|(_, value)| value.clone())
        };
        if let Some(found) = find(&names, name) {
            return found;
        }
        let name = if names.len() < NAMES_MAX { name.clone() } else { Arc::from(OTHER) };
        find(&names, &name).unwrap_or_else(|| {
            let made = Arc::new(make());
            names.push((name, made.clone()));
            made
        })
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<T>> {
        lock(&self.0).iter().find(|(known, _)| **known == *name).map(|(_, value)| value.clone())
    }

    pub(super) fn all(&self) -> Vec<(Arc<str>, Arc<T>)> {
        lock(&self.0).clone()
    }
}
