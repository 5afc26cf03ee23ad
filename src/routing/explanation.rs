//! The slow lookup, which tries each rule in order and tells why it does or does not match.

use std::net::IpAddr;

use super::conditions::{RequestView, Unmet, unmet};
use crate::config::plan::{Conditions, HostPattern, HostPlace, Matcher, Rule};

/// The result of one request for the rules of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Index of the first rule that matches.
    pub winner: Option<usize>,
    /// The rules before the winner, each with the reason why it does not match. Without a winner, all rules.
    pub earlier: Vec<(usize, Mismatch)>,
}

/// The first part of a rule that a request does not satisfy; host, path, method, conditions, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The request's host is not among the rule's hosts.
    Host,
    /// The path does not begin with the rule's segments.
    Path,
    /// The request's method is not among the rule's methods.
    Method,
    /// A condition does not hold.
    Condition(Unmet),
}

/// Tries each rule in order.
pub fn explain(rules: &[Rule], request: &RequestView<'_>) -> Explanation {
    explain_by(rules, |rule| mismatch(rule, request))
}

/// Tries each rule in order by a name and the client's address. The rest of a rule cannot be compared yet, so it
/// counts as matching.
pub fn explain_name(rules: &[Rule], name: &[u8], client: IpAddr) -> Explanation {
    let request = RequestView::of_name(name, client);
    explain_by(rules, |rule| {
        if !takes_host(&rule.hosts, name) {
            return Some(Mismatch::Host);
        }
        let of_address = rule.conditions.as_ref().and_then(|conditions| conditions.of_address());
        of_address.and_then(|conditions| unmet(&conditions, &request)).map(Mismatch::Condition)
    })
}

fn explain_by(rules: &[Rule], mismatch: impl Fn(&Rule) -> Option<Mismatch>) -> Explanation {
    let mut earlier = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        match mismatch(rule) {
            None => return Explanation { winner: Some(index), earlier },
            Some(reason) => earlier.push((index, reason)),
        }
    }
    Explanation { winner: None, earlier }
}

impl Mismatch {
    /// Half a sentence for a person: the request's value, and the values that the rule accepts.
    pub fn sentence(self, rule: &Rule, request: &RequestView<'_>) -> String {
        let none = Conditions::default();
        let conditions = rule.conditions.as_deref().unwrap_or(&none);
        match self {
            Mismatch::Host => host_sentence(&rule.hosts, request.host),
            Mismatch::Path => {
                let (path, prefix) = (String::from_utf8_lossy(request.path), &*rule.path_prefix);
                if path.starts_with(prefix) {
                    format!("path {path} only begins like {prefix}, which needs a whole segment")
                } else {
                    format!("path is {path}, the rule wants {prefix} or below")
                }
            }
            Mismatch::Method => {
                let method = String::from_utf8_lossy(request.method);
                format!("method is {method}, the rule wants {}", rule.methods.join(" or "))
            }
            Mismatch::Condition(unmet) => unmet.sentence(conditions, request),
        }
    }
}

fn mismatch(rule: &Rule, request: &RequestView<'_>) -> Option<Mismatch> {
    let Matcher { hosts, path_prefix, methods, conditions } = rule.matcher();
    if !takes_host(hosts, request.host) {
        Some(Mismatch::Host)
    } else if !path_matches(path_prefix.as_bytes(), request.path) {
        Some(Mismatch::Path)
    } else if !methods.is_empty() && !methods.iter().any(|known| known.as_bytes() == request.method) {
        Some(Mismatch::Method)
    } else {
        conditions.and_then(|conditions| unmet(conditions, request)).map(Mismatch::Condition)
    }
}

/// Whether a rule matches a request, regardless of earlier rules.
pub(super) fn takes(rule: &Rule, request: &RequestView<'_>) -> bool {
    mismatch(rule, request).is_none()
}

fn takes_host(hosts: &[HostPattern], host: &[u8]) -> bool {
    hosts.is_empty() || hosts.iter().any(|pattern| pattern.matches(host))
}

fn path_matches(prefix: &[u8], path: &[u8]) -> bool {
    prefix == b"/" || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

fn host_sentence(wanted: &[HostPattern], host: &[u8]) -> String {
    let names: Vec<String> = wanted.iter().map(HostPattern::to_string).collect();
    let wanted_names = names.join(" or ");
    if host.is_empty() {
        return format!("the request has no host, the rule wants {wanted_names}");
    }
    // The name fits, so the number of labels does not, or a part of one.
    let is_under = |place: HostPlace<'_>| match place {
        HostPlace::Exact(_) => false,
        HostPlace::Wildcard(suffix) | HostPlace::Deep(suffix) => {
            host.strip_suffix(suffix.as_bytes()).is_some_and(|front| front.ends_with(b"."))
        }
        HostPlace::Any => true,
    };
    let mut near = wanted.iter().map(HostPattern::place).filter(|(place, _)| is_under(*place));
    let hint = match near.next() {
        None | Some((HostPlace::Exact(_), _)) => "",
        Some((HostPlace::Wildcard(_) | HostPlace::Deep(_), _)) => ", and * stands for exactly one label",
        Some((HostPlace::Any, _)) => ", and * stands for exactly one label, ** for one or more",
    };
    format!("host is {}, the rule wants {wanted_names}{hint}", String::from_utf8_lossy(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::tests::{request, rule};

    fn why(rule: &Rule, host: &str, path: &str, method: &str) -> String {
        let request = request(host.as_bytes(), path.as_bytes(), method.as_bytes());
        let reason = mismatch(rule, &request).map(|why| why.sentence(rule, &request));
        reason.unwrap_or_else(|| "matches".to_owned())
    }

    #[test]
    fn each_part_of_a_rule_has_its_sentence() {
        let wild = rule(&["*.example.com"], "/", &[]);
        assert_eq!(
            why(&wild, "admin.localhost", "/", "GET"),
            "host is admin.localhost, the rule wants *.example.com"
        );
        assert_eq!(
            why(&wild, "a.b.example.com", "/", "GET"),
            "host is a.b.example.com, the rule wants *.example.com, and * stands for exactly one label"
        );
        assert_eq!(why(&wild, "", "/", "GET"), "the request has no host, the rule wants *.example.com");
        let two = rule(&["*.*.example.com"], "/", &[]);
        assert_eq!(
            why(&two, "a.example.com", "/", "GET"),
            "host is a.example.com, the rule wants *.*.example.com, and * stands for exactly one label"
        );
        let open = rule(&["cdn-*.**"], "/", &[]);
        assert_eq!(
            why(&open, "cdn-us", "/", "GET"),
            "host is cdn-us, the rule wants cdn-*.**, and * stands for exactly one label, ** for one or more"
        );
        assert_eq!(why(&open, "cdn-us.example.com", "/", "GET"), "matches");

        let users = rule(&[], "/users", &["GET", "HEAD"]);
        assert_eq!(
            why(&users, "", "/usersx", "GET"),
            "path /usersx only begins like /users, which needs a whole segment"
        );
        assert_eq!(why(&users, "", "/other", "GET"), "path is /other, the rule wants /users or below");
        assert_eq!(why(&users, "", "/users/7", "POST"), "method is POST, the rule wants GET or HEAD");
        assert_eq!(why(&users, "", "/users/7", "GET"), "matches");
    }

    #[test]
    fn the_rules_before_the_winner_are_listed_and_none_after_it() {
        let rules =
            [rule(&["b"], "/", &[]), rule(&[], "/x", &[]), rule(&[], "/", &[]), rule(&["c"], "/", &[])];
        let explanation = explain(&rules, &request(b"a", b"/y", b"GET"));
        assert_eq!(explanation.winner, Some(2));
        assert_eq!(explanation.earlier, [(0, Mismatch::Host), (1, Mismatch::Path)]);

        let by_name = explain_name(&rules, b"a", [127, 0, 0, 1].into());
        assert_eq!((by_name.winner, &by_name.earlier[..]), (Some(1), &[(0, Mismatch::Host)][..]));

        let nothing = explain(&rules[..2], &request(b"a", b"/y", b"GET"));
        assert_eq!(nothing.winner, None);
        assert_eq!(nothing.earlier.len(), 2);
    }
}
