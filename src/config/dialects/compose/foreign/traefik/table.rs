//! The routers, services and middlewares that labels define.

use crate::config::dialects::compose::foreign::entry::Entry;
use crate::config::dialects::compose::foreign::source::Written;

/// The kind of a thing with a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Router,
    Service,
    Middleware,
}

/// A thing with a name, and its labels.
pub(super) struct Item<'w> {
    kind: Kind,
    /// In lower case.
    pub(super) name: &'w str,
    /// The index of the service with the labels.
    owner: usize,
    /// The rest of each key, and its label.
    fields: Vec<(&'w str, &'w Entry)>,
}

impl<'w> Item<'w> {
    /// The value of a field.
    pub(super) fn get(&self, field: &str) -> Option<&'w str> {
        self.entry(field).map(|entry| entry.value.as_str())
    }

    /// The label of a field.
    pub(super) fn entry(&self, field: &str) -> Option<&'w Entry> {
        self.fields.iter().find(|(known, _)| *known == field).map(|(_, entry)| *entry)
    }

    /// The fields.
    pub(super) fn fields(&self) -> impl Iterator<Item = &'w str> {
        self.fields.iter().map(|(field, _)| *field)
    }
}

/// All of them, seen from one service.
pub(super) struct Table<'w> {
    items: Vec<Item<'w>>,
    own: usize,
}

impl<'w> Table<'w> {
    pub(super) fn new(all: &'w [Written], own: usize) -> Self {
        let mut items: Vec<Item<'w>> = Vec::new();
        for (owner, written) in all.iter().enumerate() {
            for entry in &written.entries {
                let Some((kind, name, field)) = split(&entry.key) else { continue };
                let known = items
                    .iter_mut()
                    .find(|item| item.kind == kind && item.owner == owner && item.name == name);
                match known {
                    Some(item) => item.fields.push((field, entry)),
                    None => items.push(Item { kind, name, owner, fields: vec![(field, entry)] }),
                }
            }
        }
        Table { items, own }
    }

    /// Those of the service itself.
    pub(super) fn own(&self, kind: Kind) -> impl Iterator<Item = &Item<'w>> {
        self.items.iter().filter(move |item| item.kind == kind && item.owner == self.own)
    }

    /// The only one with that name, of any service. If two services define it, Traefik uses none.
    pub(super) fn any(&self, kind: Kind, name: &str) -> Option<&Item<'w>> {
        let mut found = self.items.iter().filter(|item| item.kind == kind && item.name == name);
        found.next().filter(|_| found.next().is_none())
    }
}

/// The kind, the name and the rest of `traefik.http.routers.NAME.REST`.
fn split(key: &str) -> Option<(Kind, &str, &str)> {
    let (kind, rest) = key.strip_prefix("traefik.http.")?.split_once('.')?;
    let (name, field) = rest.split_once('.')?;
    let kind = match kind {
        "routers" => Kind::Router,
        "services" => Kind::Service,
        "middlewares" => Kind::Middleware,
        _ => return None,
    };
    Some((kind, name, field))
}

/// A name without the provider behind it. `None` if another provider than Docker has it.
pub(super) fn local(name: &str) -> Option<String> {
    match name.to_lowercase().split_once('@') {
        None => Some(name.to_lowercase()),
        Some((name, "docker" | "swarm")) => Some(name.to_owned()),
        Some(_) => None,
    }
}
