//! The parts of its generation that a tunnel keeps: its rule, its upstream, the counters. A tunnel may live
//! for days, and the whole generation can hold thousands of rules.

use std::rc::Rc;
use std::sync::Arc;

use super::generation::Generation;
use super::listener_snapshot::ListenerSnapshot;
use super::worker_state::WorkerState;
use crate::config::plan::{Rule, RuleIdentity, Upstream};
use crate::log::AccessLines;
use crate::metrics::ListenerCounters;
use crate::worker::Worker;

/// The context of one tunnel.
pub(crate) struct TunnelContext {
    pub(crate) state: Rc<WorkerState>,
    pub(crate) counters: Arc<ListenerCounters>,
    /// The places where its line may go, unless the rule has none.
    pub(crate) access: Option<AccessLines>,
    /// Name of the listener.
    pub(crate) listener: Arc<str>,
    /// Number of the generation, and index of the rule in it. Tunnels with equal values have equal contexts.
    pub(crate) place: (u64, Option<usize>),
    /// `None` on a TCP listener.
    pub(crate) rule: Option<Rule>,
    /// The upstream of the rule or of the TCP listener.
    pub(crate) upstream: Option<Upstream>,
}

impl TunnelContext {
    /// Copies the parts for `rule` of a snapshot, or for its TCP listener.
    pub(crate) fn new(snapshot: &ListenerSnapshot, rule: Option<usize>) -> Rc<Self> {
        let place = (snapshot.generation.number, rule);
        let rule = rule.and_then(|rule| snapshot.rule(rule));
        let to = match rule {
            Some(rule) => rule.action.upstream(),
            None => snapshot.tcp().map(|pass| pass.upstream),
        };
        Rc::new(Self {
            state: snapshot.state.clone(),
            counters: snapshot.counters.clone(),
            access: snapshot.later_access_lines(place.1).cloned(),
            listener: snapshot.listener().name.clone(),
            place,
            rule: rule.cloned(),
            upstream: to.map(|id| snapshot.generation.plan.upstreams[id.0].clone()),
        })
    }

    /// Whether the rule or TCP listener of the tunnel is in `snapshot` unchanged.
    pub(crate) fn is_served_by(&self, snapshot: &ListenerSnapshot) -> bool {
        let Generation { plan, identities, .. } = &*snapshot.generation;
        let upstream = self.upstream.as_ref();
        match (&self.rule, snapshot.tcp()) {
            (Some(rule), _) => {
                let identity = RuleIdentity::new(rule, upstream);
                identities[snapshot.index].contain(plan, snapshot.listener(), identity)
            }
            (None, Some(now)) => upstream.is_some_and(|old| plan.keeps(now, old)),
            (None, None) => false,
        }
    }

    pub(crate) fn worker(&self) -> &Worker {
        &self.state.worker
    }

    pub(crate) fn rule_name(&self) -> Option<&str> {
        Some(&self.rule.as_ref()?.name)
    }

    pub(crate) fn upstream_name(&self) -> Option<&str> {
        Some(&self.upstream.as_ref()?.name)
    }
}
