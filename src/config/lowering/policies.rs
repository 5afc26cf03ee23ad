//! Policies of listeners and named sets, which rules inherit.
//!
//! A key of a rule comes before that of its sets, and a set before the listener. Of several sets, the first that has
//! the key counts.

use std::collections::HashMap;
use std::sync::Arc;

use super::plugins::PluginNames;
use super::upstreams::{TargetProtocol, Upstreams};
use crate::config::decode::Text;
use crate::config::diagnostics::{Report, Span, Spanned};
use crate::config::plan::{
    Auth, AuthServer, AuthServerPlace, HeadersWritten, Limits, LimitsWritten, Mirror, PluginChain, Policies,
    PoliciesWritten, PolicyUpstream, RequestLimit, UpstreamWritten,
};
use crate::config::source::{Inline, PolicySetSource, UpstreamPolicySource, UpstreamUse, no_set};
use crate::config::values::target;

/// The named sets of all files.
pub(super) struct PolicySets {
    sets: HashMap<Arc<str>, PolicySetSource>,
    /// The plugins that rules may name.
    plugins: PluginNames,
}

impl PolicySets {
    /// The sets by their names. A name that stands twice is an error.
    pub(super) fn named(sources: Vec<PolicySetSource>, plugins: PluginNames, report: &mut Report) -> Self {
        let mut sets: HashMap<Arc<str>, PolicySetSource> = HashMap::new();
        for set in sources {
            if let Some(first) = sets.get(&set.name.value) {
                let message = format!("two sets of policies are named `{}`", set.name.value);
                let first = report.place(first.name.span);
                report.error_hint(set.name.span, message, format!("the first one is at {first}"));
            } else {
                sets.insert(set.name.value.clone(), set);
            }
        }
        Self { sets, plugins }
    }

    /// Reports plugins of a rule that do not exist.
    pub(super) fn check_plugins(&self, policies: Option<&Policies>, report: &mut Report) {
        let chain = policies.and_then(|policies| policies.plugins.as_deref());
        chain.into_iter().for_each(|chain| self.check_chain(chain, report));
    }

    /// As [`check_plugins`](Self::check_plugins), for a chain.
    pub(super) fn check_chain(&self, chain: &PluginChain, report: &mut Report) {
        self.plugins.check(chain, report);
    }

    fn find(&self, name: &Spanned<Arc<str>>, report: &mut Report) -> Option<&PolicySetSource> {
        let found = self.sets.get(&name.value);
        if found.is_none() {
            no_set(name, self.sets.keys().map(|name| &**name).collect(), report);
        }
        found
    }
}

/// The policies and limits of a rule that says nothing itself.
#[derive(Clone, Default)]
pub(super) struct Defaults {
    /// The name of the listener.
    pub(super) listener: Arc<str>,
    pub(super) policies: PoliciesWritten,
    pub(super) limits: Limits,
    pub(super) headers: HeadersWritten,
    /// Whether the listener limits the open requests of all of its rules together.
    pub(super) limits_requests: bool,
}

impl Defaults {
    /// The policies of a rule that are in force. `false` for `max_requests` exempts it from the limit of the listener.
    pub(super) fn settle(&self, of_rule: &PoliciesWritten) -> Option<Arc<Policies>> {
        let mut all = of_rule.over(&self.policies);
        if self.limits_requests && all.max_requests == Some(None) {
            all.max_requests = Some(Some(Arc::new(RequestLimit::none())));
        }
        all.settle()
    }

    /// These, with what was written in their place.
    pub(super) fn with(
        &self,
        policies: &PoliciesWritten,
        limits: &LimitsWritten,
        headers: &HeadersWritten,
    ) -> Self {
        Self {
            listener: self.listener.clone(),
            policies: policies.over(&self.policies),
            limits: self.limits.with(limits),
            headers: headers.over(&self.headers),
            limits_requests: self.limits_requests,
        }
    }

    /// These, with the sets of these names in their place.
    pub(super) fn below(&self, names: &[Spanned<Arc<str>>], sets: &PolicySets, report: &mut Report) -> Self {
        let found = names.iter().filter_map(|name| sets.find(name, report)).collect::<Vec<_>>();
        found
            .iter()
            .rev()
            .fold(self.clone(), |below, set| below.with(&set.policies, &set.limits, &set.headers))
    }
}

/// The policies of the rule at `span`, with the upstreams that they use. An error is at the name, if its place is known.
pub(super) fn with_upstreams(
    policies: Arc<Policies>,
    span: Span,
    upstreams: &mut Upstreams,
    report: &mut Report,
) -> Arc<Policies> {
    let mut find = |one| upstreams.use_one(one, TargetProtocol::Http, report).map(PolicyUpstream::found);
    let auth = policies.auth.as_deref().and_then(|auth| match auth {
        Auth::Server(server) => {
            let span = server.upstream.place().unwrap_or(span);
            let upstream = find(upstream_use(&server.place, span)?)?;
            Some(Arc::new(Auth::Server(AuthServer { upstream, ..server.clone() })))
        }
        Auth::Basic(_) | Auth::Jwt(_) => None,
    });
    let mirror = policies.mirror.as_deref().and_then(|mirror| {
        let upstream = find(named(&mirror.name, mirror.upstream.place().unwrap_or(span)))?;
        Some(Arc::new(Mirror { upstream, ..mirror.clone() }))
    });
    if auth.is_none() && mirror.is_none() {
        return policies;
    }
    let Policies { auth: written, mirror: written_mirror, .. } = &*policies;
    let (auth, mirror) = (auth.or_else(|| written.clone()), mirror.or_else(|| written_mirror.clone()));
    Arc::new(Policies { auth, mirror, ..Policies::clone(&policies) })
}

/// The upstream of a server.
fn upstream_use(place: &AuthServerPlace, span: Span) -> Option<UpstreamUse> {
    let url = match place {
        AuthServerPlace::Named { upstream, .. } => return Some(named(upstream, span)),
        AuthServerPlace::Url(url) => url,
    };
    let targets = vec![Spanned { value: target::target(url).ok()?, span }];
    let (settings, policy) = (UpstreamWritten::default(), UpstreamPolicySource::default());
    Some(UpstreamUse::Inline(Box::new(Inline { span, targets, tls: None, settings, policy })))
}

/// The upstream with this name, for the rule at `span`.
fn named(name: &Arc<str>, span: Span) -> UpstreamUse {
    UpstreamUse::Named(Text::new(name.to_string(), span, None))
}
