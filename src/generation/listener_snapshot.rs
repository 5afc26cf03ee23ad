//! A listener of one generation as one worker sees it: rules, upstreams, counters at hand.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use super::handle::GenerationHandle;
use super::worker_state::WorkerState;
use super::worker_upstreams::Upstreams;
use crate::config::plan::{Action, HttpListener, Listener, Pass, Protocol, Rule, UpstreamId};
use crate::http::HostKey;
use crate::metrics::{ListenerCounters, RuleCounters};
use crate::tls::{Admission, Terminator};
use crate::worker::Worker;

/// What the rules say of a connection before a byte of it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameAction {
    /// TLS is ended here; the rules are asked again for each request.
    Terminate,
    /// The rule with this index passes it on.
    Pass(usize),
    /// The rule with this index drops it.
    Drop(usize),
}

/// A listener of one generation on one worker.
pub struct ListenerSnapshot {
    /// The worker's own things.
    pub state: Rc<WorkerState>,
    /// The generation.
    pub generation: GenerationHandle,
    /// Index of the listener in the generation's plan.
    pub index: usize,
    /// The generation's upstreams.
    pub upstreams: Rc<Upstreams>,
    /// The listener's counters.
    pub counters: Arc<ListenerCounters>,
    /// Made when a rule is first met, and boxed, as the upstreams are.
    rules: Box<[OnceCell<Box<RuleCounters>>]>,
}

impl ListenerSnapshot {
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

    /// Where it passes every connection on to, if it speaks only TCP.
    pub fn tcp(&self) -> Option<&Pass> {
        match &self.listener().protocol {
            Protocol::Http(_) => None,
            Protocol::Tcp(tcp) => Some(tcp),
        }
    }

    /// What ends TLS here, if it is ended.
    pub fn terminator(&self) -> Option<&Terminator> {
        self.generation.terminators[self.index].as_ref()
    }

    /// What becomes of a connection that asks for this name over TLS: the first rule of all that take the
    /// name, whatever else they ask for, decides.
    pub fn action_for_name(&self, name: Option<&HostKey>) -> NameAction {
        let name = name.map_or(&b""[..], HostKey::as_bytes);
        let names = self.generation.names[self.index].as_ref();
        let first = names.and_then(|names| names.find(name, b"/", b""));
        let acts = first.and_then(|index| Some((index, self.rule(index)?)));
        match acts.filter(|(_, rule)| rule.decides_by_name()) {
            Some((index, Rule { action: Action::Drop, .. })) => NameAction::Drop(index),
            Some((index, _)) => NameAction::Pass(index),
            None => NameAction::Terminate,
        }
    }

    /// Where connections that this rule takes are passed on to, or all of a TCP listener.
    pub fn pass(&self, rule: Option<usize>) -> Option<&Pass> {
        match rule {
            None => self.tcp(),
            Some(rule) => match &self.rule(rule)?.action {
                Action::Pass(pass) => Some(pass),
                _ => None,
            },
        }
    }

    /// The rule with that index.
    pub fn rule(&self, index: usize) -> Option<&Rule> {
        self.http()?.rules.get(index)
    }

    /// Name of an upstream, whether it was used yet or not.
    pub fn upstream_name(&self, id: UpstreamId) -> &str {
        &self.generation.plan.upstreams[id.0].name
    }

    /// Whether a client that was let in like this before a reload would be let in now.
    pub(crate) fn still_admits(&self, admission: &Admission) -> bool {
        self.terminator().is_none_or(|terminator| terminator.still_admits(admission))
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
