//! A proxy that reads compose files too, and a service as it is written for that proxy.

use super::adapted::Adapted;
use super::entry::{self, Entry};
use crate::config::dialects::compose::project::{Reader, Service, pairs};
use crate::config::dialects::compose::service;
use crate::config::syntax::Value;

/// A proxy that reads compose files too.
pub(in crate::config::dialects::compose) struct Source {
    /// The value of `--from`.
    pub(super) name: &'static str,
    /// Its name in messages.
    pub(super) title: &'static str,
    /// A word for its entries.
    pub(super) word: &'static str,
    /// The keys of a service that hold its entries.
    pub(super) keys: &'static [&'static str],
    /// Whether an entry with that name is for it.
    pub(super) is_its: fn(&str) -> bool,
    /// Writes the service with that index anew.
    pub(super) adapt: fn(&[Written], usize) -> Adapted,
}

/// A service as it is written for another proxy.
pub(super) struct Written {
    /// Its name in the file.
    pub(super) service: String,
    pub(super) entries: Vec<Entry>,
    /// Its only port, if `expose` and `ports` name one.
    pub(super) exposed: Option<u16>,
}

/// The entries of a service that are for a proxy.
pub(super) fn written(reader: &Reader<'_>, source: &Source, service: &Service) -> Written {
    let nodes = source.keys.iter().filter_map(|key| entry::find(&service.node, key));
    let entries = nodes.flat_map(pairs).filter(|(name, _)| (source.is_its)(&name.value.to_lowercase()));
    let entries = entries.map(|(name, node)| {
        let value = match node.value {
            Value::Scalar(text) => text.trim().to_owned(),
            _ => String::new(),
        };
        Entry { key: name.value.to_lowercase(), name: name.value, value }
    });
    Written {
        service: service.name.value.clone(),
        entries: entries.collect(),
        exposed: service::infer_port(reader, &service.node, service.name.span).ok(),
    }
}
