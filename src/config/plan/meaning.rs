//! Questions about a plan whose answers are not written in it.

use super::{ACME_CHALLENGES, Action, Pass, Plan, Proxy, RedirectToHttps, Rule, Upstream, UpstreamId};

impl Plan {
    /// Whether `rule` of this plan matches and does what `other` of another plan does, which leads to
    /// `upstream` if anywhere, wherever they were written.
    pub fn means_the_same(&self, rule: &Rule, other: &Rule, upstream: Option<&Upstream>) -> bool {
        let leads_there = |id| upstream.is_some_and(|upstream| self.leads_to_the_same(id, upstream));
        // What tells most rules apart comes first, and nothing is copied for it: a worker does this for
        // every rule of a listener.
        if rule.hosts != other.hosts
            || rule.path_prefix != other.path_prefix
            || rule.methods != other.methods
            || rule.in_the_clear != other.in_the_clear
        {
            return false;
        }
        match (&rule.action, &other.action) {
            (Action::Proxy(one), Action::Proxy(two)) => {
                let settings = Proxy { upstream: one.upstream, ..two.clone() };
                *one == settings && leads_there(one.upstream)
            }
            (Action::Pass(one), Action::Pass(two)) => {
                let settings = Pass { upstream: one.upstream, ..two.clone() };
                *one == settings && leads_there(one.upstream)
            }
            (one, two) => one == two,
        }
    }

    /// Whether an upstream of this plan and one of another have the same targets and policy.
    pub fn leads_to_the_same(&self, id: UpstreamId, other: &Upstream) -> bool {
        let one = &self.upstreams[id.0];
        Upstream { origin: one.origin.clone(), ..other.clone() } == *one
    }
}

impl Rule {
    /// Whether a name asked for over TLS is enough for it to act, before a byte is answered.
    pub fn acts_on_names(&self) -> bool {
        match self.action {
            Action::Pass(_) => true,
            Action::Drop => &*self.path_prefix == "/" && self.methods.is_empty(),
            Action::Proxy(_) | Action::Redirect(_) | Action::Respond(_) => false,
        }
    }
}

impl RedirectToHttps {
    /// Whether a request in the clear goes to `rule`, the first that matches it, all the same: challenges,
    /// which certificate authorities ask for over plain HTTP (RFC 8555, section 8.3), connections that are
    /// passed on to somebody who speaks for himself, what is to get no answer, and what the rule wants to
    /// stay.
    pub fn leaves(&self, path: &[u8], rule: Option<&Rule>) -> bool {
        let is_challenge =
            path.strip_prefix(ACME_CHALLENGES.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"));
        let stays = |rule: &Rule| rule.in_the_clear || matches!(rule.action, Action::Pass(_) | Action::Drop);
        is_challenge || rule.is_some_and(stays)
    }

    /// The status for a method: 301 is for those that a client may make a GET of (RFC 9110, section
    /// 15.4.2).
    pub fn status_for(self, method: &str) -> u16 {
        if matches!(method, "GET" | "HEAD") { self.status } else { 308 }
    }
}
