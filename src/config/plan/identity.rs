//! The identity of rules, and other questions about a plan.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::listener::{ACME_CHALLENGES, Listener, Protocol, RedirectToHttps};
use super::policies::Speed;
use super::rule::{Action, Matcher, Pass, Proxy, Rule};
use super::top_level::Plan;
use super::upstream::{Upstream, UpstreamId};

/// The identity of a rule: what it matches and does. Its place, its name and the name of its upstream do not
/// count. Rules of two plans are equal if no request can tell them apart.
#[derive(Clone, Copy)]
pub struct RuleIdentity<'a> {
    rule: &'a Rule,
    /// The upstream of the rule, if it has one.
    upstream: Option<&'a Upstream>,
}

impl<'a> RuleIdentity<'a> {
    /// The identity of `rule`. `upstream` is that of its plan.
    pub fn new(rule: &'a Rule, upstream: Option<&'a Upstream>) -> Self {
        Self { rule, upstream }
    }
}

impl PartialEq for RuleIdentity<'_> {
    fn eq(&self, other: &Self) -> bool {
        let (one, two) = (self.rule, other.rule);
        let acts = match (&one.action, &two.action) {
            (Action::Proxy(one), Action::Proxy(two)) => {
                *one == Proxy { upstream: one.upstream, ..two.clone() }
            }
            // A connection keeps its speed.
            (Action::Pass(one), Action::Pass(two)) => {
                *one == Pass {
                    upstream: one.upstream,
                    speed: one.speed.clone(),
                    plugins: one.plugins.clone(),
                    ..two.clone()
                }
            }
            (one, two) => one == two,
        };
        acts && matched(one) == matched(two) && self.upstream.map(policy) == other.upstream.map(policy)
    }
}

impl Eq for RuleIdentity<'_> {}

impl Hash for RuleIdentity<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Few rules match the same requests and differ, so the hash of the match is enough.
        matched(self.rule).hash(state);
    }
}

/// Everything of a rule except its action, its name and its place, and whether it is logged.
fn matched(rule: &Rule) -> impl Hash + Eq {
    let Rule {
        name: _,
        origin: _,
        hosts: _,
        path_prefix: _,
        methods: _,
        conditions: _,
        in_the_clear,
        acme: _,
        access_log: _,
        headers: _,
        policies,
        action: _,
    } = rule;
    // Connections of a user end with the user's password. Other policies act on requests that come.
    let auth = policies.as_ref().map(|policies| &policies.auth);
    (rule.matcher(), in_the_clear, auth.and_then(Option::as_ref))
}

/// Everything of an upstream except its name and its place.
pub(super) fn policy(upstream: &Upstream) -> impl Eq {
    let Upstream { name: _, origin: _, targets, tls, settings, policy } = upstream;
    (targets, tls, settings, policy)
}

/// The identities of a listener's rules. Finding one takes no comparison with thousands of others.
pub struct RuleIdentities {
    /// A hash of each rule with its index, sorted.
    rules: Box<[(u32, u32)]>,
}

impl RuleIdentities {
    /// The identities of the rules of `listener` in `plan`.
    pub fn of(plan: &Plan, listener: &Listener) -> Self {
        let rules = listener.rules().iter().enumerate();
        let mut rules: Box<[_]> =
            rules.map(|(index, rule)| (hash(plan.identity(rule)), index as u32)).collect();
        rules.sort_unstable();
        Self { rules }
    }

    /// Whether one of the rules has this identity. `plan` and `listener` are those that this was made of.
    pub fn contain(&self, plan: &Plan, listener: &Listener, identity: RuleIdentity<'_>) -> bool {
        let hash = hash(identity);
        let first = self.rules.partition_point(|(other, _)| *other < hash);
        let mut alike = self.rules[first..].iter().take_while(|(other, _)| *other == hash);
        alike.any(|(_, index)| plan.identity(&listener.rules()[*index as usize]) == identity)
    }
}

fn hash(identity: RuleIdentity<'_>) -> u32 {
    // The configuration comes from no attacker, so a fixed key is safe. 32 bits are enough, because rules with
    // equal hashes are compared.
    FixedState::default().hash_one(identity) as u32
}

impl Plan {
    /// Each speed of a rule or a listener.
    pub fn speeds(&self) -> impl Iterator<Item = &Arc<Speed>> {
        self.listeners.iter().flat_map(|listener| {
            let of_listener = match &listener.protocol {
                Protocol::Http(_) => None,
                Protocol::Tcp(pass) => pass.speed.as_ref(),
            };
            listener.rules().iter().filter_map(Rule::speed).chain(of_listener)
        })
    }

    /// The identity of a rule of this plan.
    pub fn identity<'a>(&'a self, rule: &'a Rule) -> RuleIdentity<'a> {
        RuleIdentity::new(rule, rule.action.upstream().map(|id| &self.upstreams[id.0]))
    }

    /// Whether a TCP listener that passes connections to `upstream` may keep them while it has `pass` of this plan.
    pub fn keeps(&self, pass: &Pass, upstream: &Upstream) -> bool {
        // A connection keeps both as they were when it was opened.
        let Pass { upstream: id, send_proxy_protocol: _, idle_timeout: _, speed: _, plugins: _ } = pass;
        policy(&self.upstreams[id.0]) == policy(upstream)
    }
}

impl Listener {
    /// The rules of the listener. A TCP listener has none.
    pub fn rules(&self) -> &[Rule] {
        match &self.protocol {
            Protocol::Http(http) => &http.rules,
            Protocol::Tcp(_) => &[],
        }
    }
}

impl Action {
    /// The upstream to which the rule leads, if any.
    pub fn upstream(&self) -> Option<UpstreamId> {
        match self {
            Action::Proxy(proxy) => Some(proxy.upstream),
            Action::Pass(pass) => Some(pass.upstream),
            Action::Redirect(_) | Action::Respond(_) | Action::Files(_) | Action::Drop => None,
        }
    }
}

impl Rule {
    /// The speed of bodies and tunnels of the rule.
    fn speed(&self) -> Option<&Arc<Speed>> {
        match &self.action {
            Action::Pass(pass) => pass.speed.as_ref(),
            _ => self.policies.as_ref()?.speed.as_ref(),
        }
    }

    /// Whether the rule protects its path from clients: it drops their requests, refuses them with a status of the 4xx
    /// class, or asks for a user. A rule for every path protects all of them, however a path is written.
    pub fn guards(&self) -> bool {
        let refuses = match &self.action {
            Action::Drop => true,
            Action::Respond(respond) => (400..500).contains(&respond.status),
            Action::Proxy(_) | Action::Redirect(_) | Action::Files(_) | Action::Pass(_) => false,
        };
        (refuses || self.is_protected()) && (&*self.path_prefix != "/" || self.has_path_patterns())
    }

    /// Whether the rule asks for a user, so that no other way to its path may be left open.
    pub fn is_protected(&self) -> bool {
        self.policies.as_ref().is_some_and(|policies| policies.auth.is_some())
    }

    /// The part of the path that does not go to a target or to a file: the prefix, if the rule strips it, else nothing.
    pub fn stripped_prefix(&self) -> &str {
        let strips = match &self.action {
            Action::Proxy(proxy) => proxy.strip_path_prefix,
            Action::Files(files) => files.strip_path_prefix,
            Action::Redirect(_) | Action::Respond(_) | Action::Pass(_) | Action::Drop => false,
        };
        if strips { self.path_prefix.trim_end_matches('/') } else { "" }
    }

    /// Whether the rule hands the path of a request on to a program or a file system that reads it by itself.
    pub fn hands_path_on(&self) -> bool {
        self.action.upstream().is_some() || matches!(self.action, Action::Files(_))
    }

    /// Whether the rule can act on the name in the client hello alone, before a byte is sent to the client.
    pub fn decides_by_name(&self) -> bool {
        let Matcher { hosts: _, path_prefix, methods, conditions } = self.matcher();
        let needs_request = conditions.is_some_and(|conditions| conditions.ask_for_request());
        match self.action {
            Action::Pass(_) => true,
            Action::Drop => path_prefix == "/" && methods.is_empty() && !needs_request,
            Action::Proxy(_) | Action::Redirect(_) | Action::Respond(_) | Action::Files(_) => false,
        }
    }
}

impl RedirectToHttps {
    /// Whether a request in the clear goes to `rule`, the first that matches it, instead of being redirected.
    ///
    /// This holds for ACME challenges, which certificate authorities ask for over plain HTTP (RFC 8555, section
    /// 8.3). It holds for `pass` rules, whose target answers by itself, for `drop` rules, and for rules with
    /// `in_the_clear`.
    pub fn exempts(&self, path: &[u8], rule: Option<&Rule>) -> bool {
        let is_challenge =
            path.strip_prefix(ACME_CHALLENGES.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"));
        let stays = |rule: &Rule| rule.in_the_clear || matches!(rule.action, Action::Pass(_) | Action::Drop);
        is_challenge || rule.is_some_and(stays)
    }

    /// The status for a method. 301 is for methods that a client may change to GET (RFC 9110, section 15.4.2).
    pub fn status_for(self, method: &str) -> u16 {
        if matches!(method, "GET" | "HEAD") { self.status } else { 308 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MemoryInputs, load};

    /// Builds a plan of some rules and upstreams, one per line.
    fn plan(rules: &[&str], upstreams: &[&str]) -> Plan {
        let list = |lines: &[&str]| lines.iter().map(|line| format!("  {line}\n")).collect::<String>();
        let text = format!(
            "http_config: {{ port: \":0\" }}\nhttp_routes:\n{}upstreams:\n{}",
            list(rules),
            list(upstreams)
        );
        load(&["smolgate.yml".into()], &MemoryInputs::new().file("smolgate.yml", text)).unwrap().plan
    }

    /// Whether the first rule of one plan is found in the other.
    fn finds(old: &Plan, new: &Plan) -> bool {
        let listener = &new.listeners[0];
        let identity = old.identity(&old.listeners[0].rules()[0]);
        RuleIdentities::of(new, listener).contain(new, listener, identity)
    }

    #[test]
    fn places_and_names_do_not_change_the_identity_of_a_rule() {
        let rule = "- { host: a.test, path_prefix: /x, upstream: one }";
        let old = plan(&[rule], &["one: { targets: [\"127.0.0.1:1\"] }"]);
        let renamed = "- { name: other, host: a.test, path_prefix: /x, upstream: two }";
        let moved = plan(
            &["- { host: b.test, respond: { body: b } }", renamed],
            &["unused: { targets: [\"127.0.0.1:9\"] }", "two: { targets: [\"127.0.0.1:1\"] }"],
        );
        assert!(finds(&old, &moved));
    }

    #[test]
    fn every_difference_that_a_request_notices_changes_the_identity() {
        let same = ["one: { targets: [\"127.0.0.1:1\"] }"];
        let old = plan(&["- { host: a.test, path_prefix: /x, upstream: one }"], &same);
        for other in [
            "- { host: b.test, path_prefix: /x, upstream: one }",
            "- { host: [a.test, b.test], path_prefix: /x, upstream: one }",
            "- { host: a.test, path_prefix: /y, upstream: one }",
            "- { host: a.test, path_prefix: /x, methods: [GET], upstream: one }",
            "- { host: a.test, path_prefix: /x, upstream: one, pass_host: true }",
            "- { host: a.test, path_prefix: /x, upstream: one, max_body: 1MB }",
            "- { host: a.test, path_prefix: /x, respond: { body: x } }",
        ] {
            assert!(!finds(&old, &plan(&[other], &same)), "{other}");
        }
        for upstream in [
            "one: { targets: [\"127.0.0.1:2\"] }",
            "one: { targets: [\"127.0.0.1:1\", \"127.0.0.1:2\"] }",
            "one: { targets: [\"127.0.0.1:1\"], connect_timeout: 1s }",
        ] {
            let new = plan(&["- { host: a.test, path_prefix: /x, upstream: one }"], &[upstream]);
            assert!(!finds(&old, &new), "{upstream}");
        }
    }

    /// The index finds the rules that a comparison with each would find.
    #[test]
    fn an_identity_is_found_among_many_and_no_other() {
        let rules = |from: usize, to: usize| -> Vec<String> {
            (from..to)
                .map(|n| format!("- {{ host: h{n}.test, target: \"127.0.0.1:{}\" }}", n % 7 + 1))
                .collect()
        };
        let made = |rules: Vec<String>| {
            plan(&rules.iter().map(String::as_str).collect::<Vec<_>>(), &["x: { targets: [\"h:1\"] }"])
        };
        let (old, new) = (made(rules(0, 300)), made(rules(100, 400)));
        let listener = &new.listeners[0];
        let identities = RuleIdentities::of(&new, listener);
        for (number, rule) in old.listeners[0].rules().iter().enumerate() {
            assert_eq!(identities.contain(&new, listener, old.identity(rule)), number >= 100, "{number}");
        }
    }
}
