//! `plugins` of rules as written.

use std::sync::Arc;

use super::policy::policy;
use crate::config::decode::{Decoder, MappingReader};
use crate::config::plan::{PluginChain, PluginName, ReadPolicy};
use crate::config::syntax::{Node, Value};
use crate::config::values::scalar;

impl ReadPolicy<PluginChain> for MappingReader<'_, '_> {
    fn policy(&mut self, name: &'static str) -> Option<Option<Arc<PluginChain>>> {
        policy(self, name, chain)
    }
}

/// A name, several, or `{ names, timeout }`.
fn chain(decoder: &mut Decoder<'_>, node: Node) -> Option<PluginChain> {
    let Value::Map(_) = node.value else {
        let names = names(decoder, node);
        return (!names.is_empty()).then_some(PluginChain { names, timeout: PluginChain::TIMEOUT });
    };
    let mut fields = MappingReader::open(decoder, node, "`plugins` of a rule")?;
    fields.require(&["names"]);
    let names = fields.field("names", |decoder, node| Some(names(decoder, node)));
    let timeout = fields.parsed("timeout", scalar::timeout);
    fields.close();
    let timeout = timeout.map_or(PluginChain::TIMEOUT, |timeout| timeout.value);
    names.filter(|names| !names.is_empty()).map(|names| PluginChain { names, timeout })
}

/// Each name once, in written order.
fn names(decoder: &mut Decoder<'_>, node: Node) -> Vec<PluginName> {
    let mut names: Vec<PluginName> = Vec::new();
    for name in decoder.parsed_many(node, scalar::name) {
        let name = PluginName { name: name.value, place: name.span.into() };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
