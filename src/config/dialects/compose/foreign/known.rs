//! The table of the proxies.

use super::source::Source;
use super::{caddy, nginx_proxy, traefik};

pub(super) const SOURCES: [Source; 3] = [traefik::SOURCE, caddy::SOURCE, nginx_proxy::SOURCE];

/// The values of `--from`.
pub(in crate::config::dialects::compose) const NAMES: [&str; 3] =
    [SOURCES[0].name, SOURCES[1].name, SOURCES[2].name];

/// The source of that name.
pub(in crate::config::dialects::compose) fn named(name: &str) -> Option<&'static Source> {
    const ALL: &[Source] = &SOURCES;
    ALL.iter().find(|source| source.name == name)
}
