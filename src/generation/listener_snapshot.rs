//! A listener of one generation on one worker, with its rules, upstreams and counters.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::client_census::ClientCensus;
use super::handle::GenerationHandle;
use super::worker_state::WorkerState;
use super::worker_upstreams::Upstreams;
use crate::config::plan::{Action, HttpListener, Listener, Pass, Protocol, Rule, UpstreamId};
use crate::http::HostKey;
use crate::log::AccessLines;
use crate::metrics::{ListenerCounters, RuleCounters};
use crate::policy::{ConnectionSpeed, Paces, RulePolicies};
use crate::routing::RequestView;
use crate::tls::{Admission, Terminator};
use crate::worker::Worker;

/// The decision of the rules about a connection before its first byte is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameAction {
    /// Terminate TLS; the rules decide again for each request.
    Terminate,
    /// Pass the connection through by the rule with this index.
    Pass(usize),
    /// Drop the connection by the rule with this index.
    Drop(usize),
}

/// A listener of one generation on one worker.
pub struct ListenerSnapshot {
    /// The worker's state.
    pub state: Rc<WorkerState>,
    /// The generation.
    pub generation: GenerationHandle,
    /// Index of the listener in the generation's plan.
    pub index: usize,
    /// The generation's upstreams.
    pub upstreams: Rc<Upstreams>,
    /// The listener's counters.
    pub counters: Arc<ListenerCounters>,
    /// The watch over addresses of clients. `None` if they decide about no request.
    pub client_census: Option<ClientCensus>,
    /// Created on first use of a rule, and boxed, like the upstreams.
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
        let asks = matches!(&listener.protocol, Protocol::Http(http) if http.asks_for_clients());
        if listener.tls.is_some() {
            counters.ends_tls.add(1);
        }
        Self {
            state: state.clone(),
            generation: generation.clone(),
            index,
            upstreams: upstreams.clone(),
            counters,
            client_census: asks.then(|| ClientCensus::new(&generation.one_client_told)),
            // One more, for requests without a rule.
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

    /// The HTTP settings of an HTTP listener.
    pub fn http(&self) -> Option<&HttpListener> {
        match &self.listener().protocol {
            Protocol::Http(http) => Some(http),
            Protocol::Tcp(_) => None,
        }
    }

    /// The target of all connections of a TCP listener.
    pub fn tcp(&self) -> Option<&Pass> {
        match &self.listener().protocol {
            Protocol::Http(_) => None,
            Protocol::Tcp(tcp) => Some(tcp),
        }
    }

    /// The terminator, if TLS is terminated here.
    pub fn terminator(&self) -> Option<&Terminator> {
        self.generation.terminators[self.index].as_ref()
    }

    /// The action for a connection of `client` with this TLS server name. The first rule for both decides, whatever
    /// else it asks for.
    pub fn action_for_name(&self, name: Option<&HostKey>, client: IpAddr) -> NameAction {
        let name = name.map_or(&b""[..], HostKey::as_bytes);
        let names = self.generation.names[self.index].as_ref();
        let first = names.and_then(|names| names.find(&RequestView::of_name(name, client)));
        let acts = first.and_then(|index| Some((index, self.rule(index)?)));
        match acts.filter(|(_, rule)| rule.decides_by_name()) {
            Some((index, Rule { action: Action::Drop, .. })) => NameAction::Drop(index),
            Some((index, _)) => NameAction::Pass(index),
            None => NameAction::Terminate,
        }
    }

    /// The `pass` action of a rule, or of a TCP listener.
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

    /// The policies of the rule with that index. `None` if it has none.
    pub fn policies(&self, rule: usize) -> Option<&RulePolicies> {
        self.generation.policies[self.index].as_ref()?.of(rule)
    }

    /// The paces of a connection that is passed on. `None` if it has no speed.
    pub fn paces(&self, pass: &Pass, connection: &ConnectionSpeed) -> Option<Paces> {
        let speed = pass.speed.as_ref()?;
        Some(self.generation.speeds.limit(speed).paces(connection))
    }

    /// The places where lines go, if any is wanted, unless the rule with this index has none.
    pub fn access_lines(&self, rule: Option<usize>) -> Option<&AccessLines> {
        let lines = self.generation.access.wanted()?;
        (!self.is_silent(rule)).then_some(lines)
    }

    /// As [`ListenerSnapshot::access_lines`], for a connection that may end when other lines are wanted than now.
    pub(super) fn later_access_lines(&self, rule: Option<usize>) -> Option<&AccessLines> {
        (!self.is_silent(rule)).then_some(self.generation.access.lines())
    }

    fn is_silent(&self, rule: Option<usize>) -> bool {
        rule.and_then(|rule| self.rule(rule)).is_some_and(|rule| !rule.access_log)
    }

    /// Name of an upstream, used or not.
    pub fn upstream_name(&self, id: UpstreamId) -> &Arc<str> {
        &self.generation.plan.upstreams[id.0].name
    }

    /// Whether a client that was admitted like this before a reload would be admitted now.
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
