//! Which rules take the requests of another: by host, path prefix and methods.

use std::sync::Arc;

use crate::config::plan::HostPattern;

/// Each host of a rule; `None` stands for any host.
pub(super) fn host_options(hosts: &[HostPattern]) -> impl Iterator<Item = Option<&HostPattern>> {
    hosts.iter().map(Some).chain(hosts.is_empty().then_some(None))
}

/// The hosts of rules that take every request for `host`: any host, the same one, and those over it.
pub(super) fn with_patterns_over(host: Option<&HostPattern>) -> Vec<Option<HostPattern>> {
    let over = host.map(HostPattern::patterns_over).unwrap_or_default();
    [None].into_iter().chain(host.cloned().map(Some)).chain(over.into_iter().map(Some)).collect()
}

/// Whether the first methods include all of the later ones. Empty means any.
pub(super) fn covers(first: &[Arc<str>], later: &[Arc<str>]) -> bool {
    first.is_empty() || (!later.is_empty() && later.iter().all(|method| first.contains(method)))
}

/// `/a/b`, `/a`, `/`: every prefix that takes the path too.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| match path.rfind('/') {
        Some(0) if path.len() > 1 => Some("/"),
        Some(0) | None => None,
        Some(slash) => Some(&path[..slash]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestors_are_whole_segments() {
        assert_eq!(ancestors("/a/bc/d").collect::<Vec<_>>(), ["/a/bc/d", "/a/bc", "/a", "/"]);
        assert_eq!(ancestors("/").collect::<Vec<_>>(), ["/"]);
    }
}
