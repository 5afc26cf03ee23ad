//! Labels for caddy-docker-proxy: a tree of directives for each group `caddy`, `caddy_1` and so on.

mod block;

mod proxy;

mod tree;

use super::adapted::{Adapted, Unready, host};
use super::source::{Source, Written};
use tree::Tree;

/// The row of the table.
pub(super) const SOURCE: Source = Source {
    name: "caddy",
    title: "Caddy",
    word: "labels",
    keys: &["labels", "deploy.labels"],
    is_its: |name| tree::group(name).is_some(),
    adapt,
};

/// Writes a service anew, group by group.
fn adapt(all: &[Written], own: usize) -> Adapted {
    let written = &all[own];
    let mut adapted = Adapted::default();
    for (group, tree) in tree::groups(written) {
        match tree.value.trim() {
            "" => tree.note(&mut adapted, "an option of the whole Caddy"),
            snippet if snippet.starts_with('(') => tree.note(&mut adapted, "a snippet has no counterpart"),
            addresses => of_group(&mut adapted, &group, addresses, &tree),
        }
    }
    adapted
}

/// Adds the routes of a group with addresses.
fn of_group(adapted: &mut Adapted, group: &str, addresses: &str, tree: &Tree<'_>) {
    let mut hosts = Vec::new();
    let mut takes_any = false;
    for text in addresses.split([',', ' ', '\t', '\n']).filter(|text| !text.is_empty()) {
        match address(text) {
            Ok(Address { host, clear }) => {
                adapted.https |= !clear;
                if clear {
                    let why = "with SMOLGATE_HTTPS_ENABLED, a route is in the clear with `smolgate.in_the_clear: true`";
                    adapted.note(group, text, why);
                }
                takes_any |= host.is_none();
                hosts.extend(host);
            }
            Err(why) => adapted.note(group, text, why),
        }
    }
    if hosts.is_empty() && !takes_any {
        return tree.note(adapted, "it has no address that a label can have");
    }
    if takes_any {
        hosts.clear();
    }
    let base = block::Base { hosts, ..block::Base::default() };
    for why in block::adapt(adapted, &base, tree) {
        adapted.unready.push(Unready { hosts: base.hosts.clone(), path: None, why });
    }
}

/// The address of a server block.
struct Address {
    /// `None` for any.
    host: Option<String>,
    /// Without HTTPS.
    clear: bool,
}

fn address(text: &str) -> Result<Address, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    if !["", "http", "https"].contains(&scheme) {
        return Err(format!("`{scheme}` is no scheme of requests"));
    }
    // A variable may have a colon inside of its braces.
    let (name, port) = match rest.rsplit_once(':') {
        Some((name, port)) if !port.contains('}') => (name, port),
        _ => (rest, ""),
    };
    let clear = match (scheme, port) {
        ("http", "" | "80") | ("", "80") => true,
        ("https" | "", "" | "443") => false,
        _ => return Err("labels are for the listeners `http` and `https` of the gate".to_owned()),
    };
    match name {
        "" => Ok(Address { host: None, clear }),
        name => host(name).map(|host| Address { host: Some(host), clear }),
    }
}
