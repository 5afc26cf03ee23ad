//! The changes, as JSON.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::config::plan::Change;

/// The lists of a text, in the order in which they are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    RemovedRoutes,
    Upstreams,
    Routes,
    RemovedServers,
}

impl List {
    pub(super) const ALL: [List; 4] =
        [List::RemovedRoutes, List::Upstreams, List::Routes, List::RemovedServers];

    /// The key of the list.
    pub(super) fn key(self) -> &'static str {
        match self {
            List::RemovedRoutes => "removed_routes",
            List::Upstreams => "upstreams",
            List::Routes => "routes",
            List::RemovedServers => "removed_servers",
        }
    }
}

/// The most entries. Each is read at every load.
pub(super) const ENTRIES_MAX: usize = 10_000;

/// All changes that hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlay {
    pub(super) lists: [Vec<Value>; 4],
    /// Entries that the last load left out. A change is not refused because of them.
    pub(super) rejected: BTreeSet<String>,
    /// The change that is asked for now.
    pub(super) asked: Option<Asked>,
    /// Whether the last change made an upstream or a route that was not there.
    pub(super) made: bool,
}

/// A change that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Asked {
    /// It is in the lists already, and whether it is possible does not depend on the files.
    Done,
    /// It is this entry, which must fit the files.
    Entry(List, usize),
}

impl Overlay {
    /// These changes and another one, for a load that fails if that is not possible.
    #[must_use]
    pub fn with(&self, change: Change) -> Self {
        let mut all = self.clone();
        all.asked = Some(match change {
            Change::AddRoute(route) => all.add(List::Routes, Value::Object(route)),
            Change::RemoveRoute { name, listener } => all.remove_route(&name, listener),
            Change::AddUpstream(upstream) => all.add_upstream(upstream),
            Change::RemoveServer { name, server } => all.remove_server(&name, &server),
        });
        all
    }

    /// The text to keep: JSON with a line for each entry. `None` if there is no entry.
    pub fn text(&self) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let list = |list: List| {
            let lines: Vec<String> = self.lists[list as usize].iter().map(Value::to_string).collect();
            format!("\"{}\": [\n{}\n]", list.key(), lines.join(",\n"))
        };
        let lists: Vec<String> =
            List::ALL.into_iter().filter(|one| !self.lists[*one as usize].is_empty()).map(list).collect();
        Some(format!("{{{}}}\n", lists.join(", ")))
    }

    /// Whether the last change made something that was not there.
    pub fn is_made(&self) -> bool {
        self.made
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lists.iter().all(Vec::is_empty)
    }

    pub(super) fn count(&self) -> usize {
        self.lists.iter().map(Vec::len).sum()
    }

    fn add(&mut self, list: List, entry: Value) -> Asked {
        self.lists[list as usize].push(entry);
        Asked::Entry(list, self.lists[list as usize].len() - 1)
    }

    /// Takes back a route that was added, or adds an entry that removes one of the files.
    fn remove_route(&mut self, name: &str, listener: Option<String>) -> Asked {
        let is_it = |route: &Value| {
            let of = |key: &str| route.get(key).and_then(Value::as_str);
            of("name") == Some(name) && (listener.is_none() || of("listener") == listener.as_deref())
        };
        let routes = &mut self.lists[List::Routes as usize];
        if let Some(at) = routes.iter().position(is_it) {
            routes.remove(at);
            return Asked::Done;
        }
        let mut entry = Map::from_iter([("name".to_owned(), json!(name))]);
        entry.extend(listener.map(|listener| ("listener".to_owned(), json!(listener))));
        self.add(List::RemovedRoutes, Value::Object(entry))
    }

    /// Takes back the removal of a server of the files, or adds an entry.
    fn add_upstream(&mut self, upstream: Map<String, Value>) -> Asked {
        let removed = &mut self.lists[List::RemovedServers as usize];
        let is_it =
            |entry: &Value| ["name", "server"].iter().all(|key| entry.get(*key) == upstream.get(*key));
        match removed.iter().position(is_it).filter(|_| upstream.len() == 2) {
            Some(at) => {
                removed.remove(at);
                Asked::Done
            }
            None => self.add(List::Upstreams, Value::Object(upstream)),
        }
    }

    /// Takes back a server that was added, or adds an entry that removes one of the files.
    fn remove_server(&mut self, name: &str, server: &str) -> Asked {
        let upstreams = &mut self.lists[List::Upstreams as usize];
        let of_name = |entry: &&mut Value| entry.get("name").and_then(Value::as_str) == Some(name);
        for entry in upstreams.iter_mut().filter(of_name) {
            if entry.get("server").and_then(Value::as_str) == Some(server) {
                *entry = Value::Null;
            } else if let Some(Value::Array(servers)) = entry.get_mut("servers") {
                let before = servers.len();
                servers.retain(|one| one.as_str() != Some(server));
                match servers.len() {
                    after if after == before => continue,
                    0 => *entry = Value::Null,
                    _ => {}
                }
            } else {
                continue;
            }
            upstreams.retain(|entry| !entry.is_null());
            return Asked::Done;
        }
        self.add(List::RemovedServers, json!({ "name": name, "server": server }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn what_was_added_is_taken_back_and_what_the_files_have_is_removed() {
        let server = |server: &str| map(json!({ "name": "a", "server": server }));
        let remove = |server: &str| Change::RemoveServer { name: "a".into(), server: server.into() };
        let group = map(json!({ "name": "a", "servers": ["h:1", "h:2"] }));
        let all =
            Overlay::default().with(Change::AddUpstream(group)).with(Change::AddUpstream(server("h:3")));
        let less = all.with(remove("h:1")).with(remove("h:3"));
        assert_eq!(less.lists[1], [json!({ "name": "a", "servers": ["h:2"] })]);
        assert!(less.with(remove("h:2")).is_empty());
        let removed = less.with(remove("h:9"));
        assert_eq!(removed.asked, Some(Asked::Entry(List::RemovedServers, 0)));
        assert_eq!(removed.with(Change::AddUpstream(server("h:9"))).lists, less.lists);
    }

    #[test]
    fn a_text_has_a_line_for_each_entry() {
        assert_eq!(Overlay::default().text(), None);
        let route = |name: &str| Change::AddRoute(map(json!({ "name": name })));
        let remove = Change::RemoveRoute { name: "c".into(), listener: None };
        let text = Overlay::default().with(route("a")).with(route("b\n\"")).with(remove).text().unwrap();
        let expected = "{\"removed_routes\": [\n{\"name\":\"c\"}\n], \"routes\": [\n{\"name\":\"a\"},\n\
                        {\"name\":\"b\\n\\\"\"}\n]}\n";
        assert_eq!(text, expected);
    }
}
