//! Conditions of rules: everything that a rule asks of a request besides its host, a path prefix and its method.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::expression::PathExpression;
use super::path_glob::PathGlob;
use super::share::Share;

/// The conditions of a rule. All of them must hold. An empty one always holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Conditions {
    /// Globs for the whole path, any of which matches.
    pub paths: Vec<PathGlob>,
    /// Expressions for the path, any of which matches. Empty beside globs.
    pub expressions: Vec<PathExpression>,
    /// Networks, one of which has the client's address.
    pub from: Networks,
    /// Networks, none of which has the client's address.
    pub not_from: Networks,
    /// Header fields. A name is compared in any case.
    pub headers: Vec<NamedCondition>,
    /// Cookies.
    pub cookies: Vec<NamedCondition>,
    /// Parameters of the query.
    pub query: Vec<NamedCondition>,
    /// A part of all clients.
    pub share: Option<Share>,
}

impl Conditions {
    /// Those that can be checked when only the address of the client is known. `None` if there are none.
    pub fn of_address(&self) -> Option<Conditions> {
        let Conditions {
            paths: _,
            expressions: _,
            from,
            not_from,
            headers: _,
            cookies: _,
            query: _,
            share: _,
        } = self;
        let found = Conditions { from: from.clone(), not_from: not_from.clone(), ..Conditions::default() };
        found.ask_for_address().then_some(found)
    }

    /// Whether the client's address counts.
    pub fn ask_for_address(&self) -> bool {
        !(self.from.is_empty() && self.not_from.is_empty())
    }

    /// Whether anything besides the client's address counts.
    pub fn ask_for_request(&self) -> bool {
        let Conditions { paths: _, expressions: _, from: _, not_from: _, headers, cookies, query, share } =
            self;
        let named = [headers, cookies, query];
        self.ask_for_path() || share.is_some() || named.into_iter().any(|named| !named.is_empty())
    }

    /// Whether the whole path counts.
    pub fn ask_for_path(&self) -> bool {
        !(self.paths.is_empty() && self.expressions.is_empty())
    }
}

/// The conditions in a few words, except those on the path. Empty if there are none.
impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conditions { paths: _, expressions: _, from, not_from, headers, cookies, query, share } = self;
        let mut parts = Vec::new();
        for (word, networks) in [("from", from), ("not from", not_from)] {
            if !networks.is_empty() {
                parts.push(format!("{word} {networks}"));
            }
        }
        for (word, named) in [("header", headers), ("cookie", cookies), ("query", query)] {
            parts.extend(named.iter().map(|one| format!("{word} {}: {}", one.name, one.wanted())));
        }
        parts.extend(share.iter().map(|share| format!("{share} by {}", share.by)));
        f.write_str(&parts.join(", "))
    }
}

/// A condition on the values of one name. One of the values must match one of the patterns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamedCondition {
    /// The name.
    pub name: Arc<str>,
    /// The patterns, of which there is at least one.
    pub values: Vec<ValuePattern>,
}

impl NamedCondition {
    /// Whether one of the patterns matches.
    pub fn takes(&self, value: &[u8]) -> bool {
        self.values.iter().any(|pattern| pattern.matches(value))
    }

    /// The patterns for a reader.
    pub fn wanted(&self) -> String {
        self.values.iter().map(ValuePattern::to_string).collect::<Vec<_>>().join(" or ")
    }
}

/// A value, or with `*` at the end the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ValuePattern {
    start: Arc<str>,
    is_open: bool,
}

impl ValuePattern {
    /// The pattern that is written so.
    pub fn new(text: &str) -> ValuePattern {
        let open = text.strip_suffix('*');
        ValuePattern { start: open.unwrap_or(text).into(), is_open: open.is_some() }
    }

    fn matches(&self, value: &[u8]) -> bool {
        let rest = value.strip_prefix(self.start.as_bytes());
        rest.is_some_and(|rest| self.is_open || rest.is_empty())
    }
}

impl fmt::Display for ValuePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.start, if self.is_open { "*" } else { "" })
    }
}

/// A set of addresses, as few networks as hold them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Networks {
    /// Sorted, and none overlaps another, so that a binary search finds the one that may have an address.
    sorted: Box<[IpNet]>,
}

impl Networks {
    /// The set of all addresses of these networks.
    pub fn new(networks: &[IpNet]) -> Networks {
        let mut sorted = IpNet::aggregate(&networks.to_vec());
        sorted.sort_unstable_by_key(IpNet::network);
        Networks { sorted: sorted.into() }
    }

    /// Whether no network was written.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Whether the set has this address.
    pub fn contain(&self, address: IpAddr) -> bool {
        let behind = self.sorted.partition_point(|network| network.network() <= address);
        behind.checked_sub(1).is_some_and(|at| self.sorted[at].contains(&address))
    }

    /// The networks.
    pub fn iter(&self) -> impl Iterator<Item = &IpNet> {
        self.sorted.iter()
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(IpNet::to_string).collect::<Vec<_>>().join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        Networks::new(&texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn a_set_of_networks_has_the_addresses_of_each() {
        let texts = ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7/32", "fd00::/8", "0.0.0.0/32", "9.0.0.0/8"];
        let set = networks(&texts);
        for (address, inside) in [
            ("10.255.0.1", true),
            ("9.0.0.0", true),
            ("11.0.0.0", false),
            ("8.255.255.255", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("0.0.0.0", true),
            ("0.0.0.1", false),
            ("fd12::1", true),
            ("fe00::", false),
            ("::", false),
        ] {
            assert_eq!(set.contain(address.parse().unwrap()), inside, "{address}");
        }
        assert!(!networks(&[]).contain("10.0.0.1".parse().unwrap()) && networks(&[]).is_empty());
        assert_eq!(networks(&["10.1.0.0/16", "10.0.0.0/8"]).to_string(), "10.0.0.0/8");
    }

    #[test]
    fn a_star_at_the_end_takes_every_end() {
        for (pattern, value, takes) in [
            ("red", "red", true),
            ("red", "redder", false),
            ("red", "re", false),
            ("Basic *", "Basic abc", true),
            ("Basic *", "basic abc", false),
            ("*", "", true),
            ("*", "x", true),
        ] {
            assert_eq!(ValuePattern::new(pattern).matches(value.as_bytes()), takes, "{pattern} {value}");
            assert_eq!(ValuePattern::new(pattern).to_string(), pattern);
        }
    }
}
