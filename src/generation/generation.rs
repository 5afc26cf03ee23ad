//! The product of one load of the configuration, built from its plan.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::config::plan::{AmbiguousPaths, Listener, Matcher, Plan, Protocol, Rule, RuleIdentities};
use crate::log::{AccessSwitch, TailObserver};
use crate::mux::SERVES_HTTP2;
use crate::plugin::Plugins;
use crate::policy::{KeySets, ListenerPolicies, SharedSpeeds};
use crate::routing::{Guards, RuleTable};
use crate::tls::{Issued, Problem, Terminator, TicketKeys};
use crate::upstream::{NameCache, UpstreamError, UpstreamTable};

/// Built completely by the control plane, shared by all workers, replaced completely.
pub struct Generation {
    /// Counts from 1.
    pub number: u64,
    /// The plan from which it was built.
    pub plan: Arc<Plan>,
    /// One table per listener; empty for TCP.
    pub tables: Vec<RuleTable>,
    /// One entry per listener: its rules that keep a path from clients. `None` if it has none, or allows
    /// ambiguous paths.
    pub guards: Vec<Option<Guards>>,
    /// One entry per listener: the policies of its rules. `None` if no rule has any.
    pub policies: Vec<Option<ListenerPolicies>>,
    /// The plugins.
    pub plugins: Plugins,
    /// The keys of tokens that are fetched.
    pub key_sets: KeySets,
    /// The speeds that connections share.
    pub speeds: SharedSpeeds,
    /// One entry per listener, for tunnels whose rule may be gone.
    pub identities: Vec<RuleIdentities>,
    /// One table per listener with TLS: the rule for a server name, whatever else the rule asks for. `None`
    /// if no rule decides by name.
    pub names: Vec<Option<RuleTable>>,
    /// One entry per listener; `None` if it does not terminate TLS.
    pub terminators: Vec<Option<Terminator>>,
    /// Problems with certificates of the terminators. The other certificates are served.
    pub problems: Vec<Problem>,
    /// The upstreams of the plan.
    pub upstream_table: UpstreamTable,
    /// The access log, and the readers of exchanges.
    pub access: AccessSwitch,
    /// Whether it was told that most clients have one address. Once is enough for all generations.
    pub one_client_told: Arc<AtomicBool>,
    /// Certificates that come while the gate runs, and answers to the challenges by which they are got.
    pub issued: Arc<Issued>,
}

impl Generation {
    /// Builds the tables, and the TLS setup for clients and upstreams. `before` is the generation that is
    /// served until now. Blocks: reads certificates and authorities.
    ///
    /// # Errors
    /// One error for each upstream whose TLS setup fails.
    pub fn new(
        number: u64,
        plan: Arc<Plan>,
        name_cache: &NameCache,
        tickets: &TicketKeys,
        issued: &Arc<Issued>,
        access: AccessSwitch,
        before: Option<&Generation>,
    ) -> Result<Self, Vec<UpstreamError>> {
        let tables = plan.listeners.iter().map(|listener| RuleTable::build(listener.rules())).collect();
        let guards_of = |listener: &Listener| match &listener.protocol {
            Protocol::Http(http) if http.settings.ambiguous_paths == AmbiguousPaths::Refuse => {
                Guards::build(&http.rules)
            }
            Protocol::Http(_) | Protocol::Tcp(_) => None,
        };
        let guards = plan.listeners.iter().map(guards_of).collect();
        let plugins = Plugins::new(&plan, before.map(|before| &before.plugins));
        let key_sets = KeySets::of(&plan, before.map(|before| &before.key_sets));
        let speeds = SharedSpeeds::new(plan.speeds(), before.map(|before| &before.speeds));
        let policies_of = |listener| listener_policies(listener, &speeds, &key_sets, before);
        let policies = plan.listeners.iter().map(policies_of).collect();
        let identities = plan.listeners.iter().map(|listener| RuleIdentities::of(&plan, listener)).collect();
        let by_name = plan.listeners.iter().map(name_rules).collect();
        let upstream_table =
            UpstreamTable::new(&plan, name_cache, before.map(|before| &before.upstream_table))?;
        let (terminators, problems) = terminators(&plan, tickets, issued, before);
        Ok(Self {
            number,
            tables,
            guards,
            policies,
            plugins,
            key_sets,
            speeds,
            identities,
            names: by_name,
            terminators,
            problems,
            upstream_table,
            plan,
            one_client_told: before.map_or_else(Arc::default, |before| before.one_client_told.clone()),
            access,
            issued: issued.clone(),
        })
    }

    /// The terminator of the listener with that name.
    fn terminator(&self, name: &str) -> Option<&Terminator> {
        self.terminators[self.listener(name)?].as_ref()
    }

    /// Index of the listener with that name.
    fn listener(&self, name: &str) -> Option<usize> {
        self.plan.listeners.iter().position(|listener| &*listener.name == name)
    }
}

impl TailObserver for Generation {
    fn readers_changed(&self, are_there: bool) {
        self.access.readers_changed(are_there);
    }
}

/// The policies of a listener's rules, with the counts of `before`.
fn listener_policies(
    listener: &Listener,
    speeds: &SharedSpeeds,
    key_sets: &KeySets,
    before: Option<&Generation>,
) -> Option<ListenerPolicies> {
    let Protocol::Http(http) = &listener.protocol else { return None };
    let before = before.and_then(|before| {
        let index = before.listener(&listener.name)?;
        let Protocol::Http(http) = &before.plan.listeners[index].protocol else { return None };
        Some((http, before.policies[index].as_ref()?))
    });
    ListenerPolicies::build(http, speeds, key_sets, before)
}

/// Builds the terminator of each listener, and lists problems with certificates. Blocks.
pub fn terminators(
    plan: &Plan,
    tickets: &TicketKeys,
    issued: &Arc<Issued>,
    before: Option<&Generation>,
) -> (Vec<Option<Terminator>>, Vec<Problem>) {
    let mut problems = Vec::new();
    let load = |listener: &Listener| {
        let tls = listener.tls.as_ref()?;
        let (rules, http2) = match &listener.protocol {
            Protocol::Http(http) => (Some(&*http.rules), SERVES_HTTP2 && http.settings.http2),
            Protocol::Tcp(_) => (None, false),
        };
        let before = before.and_then(|before| before.terminator(&listener.name));
        let (terminator, found) = Terminator::load(tls, rules, http2, tickets, issued, before);
        problems.extend(found);
        problems.extend(rules.and_then(|rules| terminator.missing(tls, rules)));
        Some(terminator)
    };
    (plan.listeners.iter().map(load).collect(), problems)
}

/// All rules by their hosts and the addresses of clients, because the rest of a request is not visible before TLS is
/// terminated.
fn name_rules(listener: &Listener) -> Option<RuleTable> {
    listener.tls.as_ref()?;
    let Protocol::Http(http) = &listener.protocol else { return None };
    if !http.rules.iter().any(Rule::decides_by_name) {
        return None;
    }
    let by_host = |rule: &Rule| {
        let Matcher { hosts: _, path_prefix: _, methods: _, conditions } = rule.matcher();
        let conditions = conditions.and_then(|conditions| conditions.of_address()).map(Arc::new);
        Rule { path_prefix: "/".into(), methods: Vec::new(), conditions, ..rule.clone() }
    };
    Some(RuleTable::build(&http.rules.iter().map(by_host).collect::<Vec<_>>()))
}
