//! What one load of the configuration built: the third life of a configuration.

use std::sync::Arc;

use crate::config::plan::{Listener, Plan, Protocol, Rule, RuleIdentities};
use crate::log::AccessLog;
use crate::routing::{Guards, RuleTable};
use crate::tls::{Problem, Terminator, TicketKeys};
use crate::upstream::{NameCache, UpstreamError, UpstreamTable};

/// Built whole on the control plane, shared by all workers, replaced whole.
pub struct Generation {
    /// Counts from 1.
    pub number: u64,
    /// What it was built from.
    pub plan: Arc<Plan>,
    /// One a listener; empty tables for TCP.
    pub tables: Vec<RuleTable>,
    /// One a listener: its rules that keep a path from clients. `None` where it has none.
    pub guards: Vec<Option<Guards>>,
    /// One a listener: for tunnels, whose rule may be gone.
    pub identities: Vec<RuleIdentities>,
    /// One a listener with TLS: which rule a name asked for leads to, were it asked for everything.
    /// `None` where names are not enough for any rule to act.
    pub names: Vec<Option<RuleTable>>,
    /// One a listener; `None` where no TLS is ended.
    pub terminators: Vec<Option<Terminator>>,
    /// What is wrong with their certificates; the rest serves.
    pub problems: Vec<Problem>,
    /// The upstreams.
    pub upstream_table: UpstreamTable,
    /// Where exchanges are written to, if anywhere.
    pub access: Option<AccessLog>,
}

impl Generation {
    /// Builds the tables and what connections from clients and to upstreams need. `before` is what was
    /// served until now. Blocks: reads certificates and authorities.
    ///
    /// # Errors
    /// When TLS to upstreams cannot be set up: one for each.
    pub fn new(
        number: u64,
        plan: Arc<Plan>,
        name_cache: &NameCache,
        tickets: &TicketKeys,
        access: Option<AccessLog>,
        before: Option<&Generation>,
    ) -> Result<Self, Vec<UpstreamError>> {
        let tables = plan.listeners.iter().map(|listener| RuleTable::build(listener.rules())).collect();
        let guards = plan.listeners.iter().map(|listener| Guards::build(listener.rules())).collect();
        let identities = plan.listeners.iter().map(|listener| RuleIdentities::of(&plan, listener)).collect();
        let by_name = plan.listeners.iter().map(name_rules).collect();
        let upstream_table = UpstreamTable::new(&plan, name_cache)?;
        let (terminators, problems) = terminators(&plan, tickets, before);
        Ok(Self {
            number,
            tables,
            guards,
            identities,
            names: by_name,
            terminators,
            problems,
            upstream_table,
            plan,
            access,
        })
    }

    /// What ends TLS for the listener of that name.
    fn terminator(&self, name: &str) -> Option<&Terminator> {
        let index = self.plan.listeners.iter().position(|listener| &*listener.name == name)?;
        self.terminators[index].as_ref()
    }
}

/// What ends TLS for each listener, and what is wrong with certificates. Blocks.
pub fn terminators(
    plan: &Plan,
    tickets: &TicketKeys,
    before: Option<&Generation>,
) -> (Vec<Option<Terminator>>, Vec<Problem>) {
    let mut problems = Vec::new();
    let load = |listener: &Listener| {
        let tls = listener.tls.as_ref()?;
        let rules = match &listener.protocol {
            Protocol::Http(http) => Some(&*http.rules),
            Protocol::Tcp(_) => None,
        };
        let before = before.and_then(|before| before.terminator(&listener.name));
        let (terminator, found) = Terminator::load(tls, rules.is_some(), tickets, before);
        problems.extend(found);
        problems.extend(rules.and_then(|rules| terminator.missing(tls, rules)));
        Some(terminator)
    };
    (plan.listeners.iter().map(load).collect(), problems)
}

/// All rules by their hosts alone: the rest of a request cannot be seen while TLS is not ended.
fn name_rules(listener: &Listener) -> Option<RuleTable> {
    listener.tls.as_ref()?;
    let Protocol::Http(http) = &listener.protocol else { return None };
    if !http.rules.iter().any(Rule::decides_by_name) {
        return None;
    }
    let by_host = |rule: &Rule| Rule { path_prefix: "/".into(), methods: Vec::new(), ..rule.clone() };
    Some(RuleTable::build(&http.rules.iter().map(by_host).collect::<Vec<_>>()))
}
