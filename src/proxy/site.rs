//! A listener of one generation as one worker sees it: rules, upstreams, counters at hand.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::date::Clock;
use super::generation::Generation;
use crate::config::plan::{Action, HttpListener, Listener, Protocol, Rule, TcpListener, UpstreamId};
use crate::http::{FieldTable, HostKey};
use crate::log::WorkerCounters;
use crate::log::counters::{ListenerCounters, RuleCounters};
use crate::tls::{Slots, Terminator};
use crate::upstream::{Book, Upstream};
use crate::worker::Worker;

/// What a worker has once, whatever the generation.
pub struct WorkerState {
    /// The runtime.
    pub worker: Worker,
    /// This worker's counters.
    pub counters: WorkerCounters,
    /// This worker's connections to targets.
    pub book: Book,
    /// Where heads are parsed into, one at a time and never across an await.
    pub table: RefCell<FieldTable>,
    /// What `Date` says.
    pub clock: Clock,
    /// Connections of clients.
    pub permits: Permits,
    /// TLS handshakes that may go on at once.
    pub handshakes: Slots,
}

/// The right to hold one more client connection, counted over the whole process.
#[derive(Clone)]
pub struct Permits {
    taken: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

/// One of the [`Permits`]; given back when dropped.
pub struct Permit(Arc<AtomicUsize>);

impl Permits {
    /// `most` at once.
    pub fn new(most: usize) -> Self {
        Self { taken: Arc::default(), most: Arc::new(most.into()) }
    }

    /// Another limit, for a reload. Connections above it stay.
    pub fn set_limit(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// A permit, unless all are taken.
    pub fn take(&self) -> Option<Permit> {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        // Made in any case: what is not handed out gives back on the way out what was just taken.
        let permit = Permit(self.taken.clone());
        (taken < self.most.load(Ordering::Relaxed)).then_some(permit)
    }

    /// A permit, whatever the limit.
    pub fn take_anyway(&self) -> Permit {
        self.taken.fetch_add(1, Ordering::Relaxed);
        Permit(self.taken.clone())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The upstreams of a generation on one worker, each made when it is first needed: a reload of
/// thousands costs nothing until they are used.
pub struct Upstreams {
    state: Rc<WorkerState>,
    generation: Arc<Generation>,
    /// Boxed: a worker that is given thousands writes eight bytes for each.
    made: Box<[OnceCell<Box<Upstream>>]>,
}

impl Upstreams {
    /// None made yet.
    pub fn new(state: Rc<WorkerState>, generation: Arc<Generation>) -> Self {
        let made = generation.plan.upstreams.iter().map(|_| OnceCell::new()).collect();
        Self { state, generation, made }
    }

    /// The upstream.
    pub fn get(&self, id: UpstreamId) -> &Upstream {
        let WorkerState { book, counters, .. } = &*self.state;
        self.made[id.0].get_or_init(|| Box::new(book.upstream(&self.generation.directory, id, counters)))
    }
}

/// A listener of one generation on one worker.
pub struct Site {
    /// The worker's own things.
    pub state: Rc<WorkerState>,
    /// The generation.
    pub generation: Arc<Generation>,
    /// Index of the listener in the generation's plan.
    pub index: usize,
    /// The generation's upstreams.
    pub upstreams: Rc<Upstreams>,
    /// The listener's counters.
    pub counters: Arc<ListenerCounters>,
    /// Made when a rule is first met, and boxed, as the upstreams are.
    rules: Box<[OnceCell<Box<RuleCounters>>]>,
}

impl Site {
    /// The listener with that index.
    pub fn new(upstreams: &Rc<Upstreams>, index: usize) -> Self {
        let Upstreams { state, generation, .. } = &**upstreams;
        let listener = &generation.plan.listeners[index];
        let (protocol, rules) = match &listener.protocol {
            Protocol::Http(http) => ("http", http.rules.len()),
            Protocol::Tcp(_) => ("tcp", 0),
        };
        let counters = state.counters.listener(&listener.name, protocol);
        if listener.tls.is_some() {
            counters.ends_tls.add(1);
        }
        Self {
            state: state.clone(),
            generation: generation.clone(),
            index,
            upstreams: upstreams.clone(),
            counters,
            // One more, for requests that no rule matches.
            rules: (0..=rules).map(|_| OnceCell::new()).collect(),
        }
    }

    /// The worker.
    pub fn worker(&self) -> &Worker {
        &self.state.worker
    }

    /// The listener as configured.
    pub fn listener(&self) -> &Listener {
        &self.generation.plan.listeners[self.index]
    }

    /// Its HTTP settings, if it speaks HTTP.
    pub fn http(&self) -> Option<&HttpListener> {
        match &self.listener().protocol {
            Protocol::Http(http) => Some(http),
            Protocol::Tcp(_) => None,
        }
    }

    /// Its TCP settings, if it speaks only TCP.
    pub fn tcp(&self) -> Option<&TcpListener> {
        match &self.listener().protocol {
            Protocol::Http(_) => None,
            Protocol::Tcp(tcp) => Some(tcp),
        }
    }

    /// What ends TLS here, if it is ended.
    pub fn terminator(&self) -> Option<&Terminator> {
        self.generation.terminators[self.index].as_ref()
    }

    /// The rule that passes on connections which ask for this name over TLS: when the first rule of all
    /// that take the name, whatever else they ask for, is one that does.
    pub fn passes_on(&self, name: Option<&HostKey>) -> Option<usize> {
        let name = name.map_or(&b""[..], HostKey::as_bytes);
        let rule = self.generation.names[self.index].as_ref()?.find(name, b"/", b"")?;
        matches!(self.rule(rule)?.action, Action::Pass(_)).then_some(rule)
    }

    /// The rule with that index.
    pub fn rule(&self, index: usize) -> Option<&Rule> {
        self.http()?.rules.get(index)
    }

    /// Whether what a tunnel began on, `rule` of `old` or its whole TCP listener, is here unchanged.
    pub fn still_has(&self, old: &Site, rule: Option<usize>) -> bool {
        let (old_plan, plan) = (&old.generation.plan, &self.generation.plan);
        match (rule.and_then(|rule| old.rule(rule)), self.http(), old.tcp(), self.tcp()) {
            (Some(rule), Some(http), ..) => {
                http.rules.iter().any(|now| plan.means_the_same(now, old_plan, rule))
            }
            (None, _, Some(old), Some(now)) => plan.leads_to_the_same(now.upstream, old_plan, old.upstream),
            _ => false,
        }
    }

    /// The counters of a rule, or of requests that no rule matched.
    pub fn rule_counters(&self, rule: Option<usize>) -> &RuleCounters {
        let cell = &self.rules[rule.unwrap_or(self.rules.len() - 1)];
        cell.get_or_init(|| {
            let name =
                rule.and_then(|rule| self.rule(rule)).map_or_else(|| "none".into(), |rule| rule.name.clone());
            Box::new(self.state.counters.rule(&self.listener().name, &name))
        })
    }
}
