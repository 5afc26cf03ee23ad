//! What a connection stands on in which nobody looks for requests any more: of the generation that it began
//! on no more than this, so that a tunnel of days does not keep thousands of rules for itself.

use std::rc::Rc;
use std::sync::Arc;

use super::listener_snapshot::{ListenerSnapshot, WorkerState};
use crate::config::plan::{Rule, Upstream};
use crate::log::AccessLog;
use crate::log::counters::ListenerCounters;
use crate::worker::Worker;

/// The ground of one connection.
pub(super) struct TunnelContext {
    pub(super) state: Rc<WorkerState>,
    pub(super) counters: Arc<ListenerCounters>,
    pub(super) access: Option<AccessLog>,
    /// Name of the listener.
    pub(super) listener: Arc<str>,
    /// Number of the generation, and index of the rule in it: equal ones stand on the same.
    pub(super) place: (u64, Option<usize>),
    /// `None` on a TCP listener.
    pub(super) rule: Option<Rule>,
    /// Where the rule, or the TCP listener, leads.
    pub(super) upstream: Option<Upstream>,
}

impl TunnelContext {
    /// What `rule` of a site gives, or its TCP listener.
    pub(super) fn new(snapshot: &ListenerSnapshot, rule: Option<usize>) -> Rc<Self> {
        let place = (snapshot.generation.number, rule);
        let rule = rule.and_then(|rule| snapshot.rule(rule));
        let to = match rule {
            Some(rule) => rule.action.upstream(),
            None => snapshot.tcp().map(|pass| pass.upstream),
        };
        Rc::new(Self {
            state: snapshot.state.clone(),
            counters: snapshot.counters.clone(),
            access: snapshot.generation.access.clone(),
            listener: snapshot.listener().name.clone(),
            place,
            rule: rule.cloned(),
            upstream: to.map(|id| snapshot.generation.plan.upstreams[id.0].clone()),
        })
    }

    pub(super) fn worker(&self) -> &Worker {
        &self.state.worker
    }

    pub(super) fn rule_name(&self) -> Option<&str> {
        Some(&self.rule.as_ref()?.name)
    }

    pub(super) fn upstream_name(&self) -> Option<&str> {
        Some(&self.upstream.as_ref()?.name)
    }
}
