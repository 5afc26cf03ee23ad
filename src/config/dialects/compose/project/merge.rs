//! Merges trees as `docker compose` merges an override, or an extending service, into a base.

use std::collections::HashMap;

use crate::config::diagnostics::Spanned;
use crate::config::syntax::tree::Tag;
use crate::config::syntax::{Node, Value};

/// Merges `over` into `base`: mappings key by key, lists one after the other, single values replaced. `!reset`
/// removes the base, `!override` replaces it as a whole.
pub(super) fn merge(base: Node, over: Node) -> Node {
    merge_at("", base, over)
}

/// Keys whose lists of names or of `key=value` are merged as mappings.
const PAIRS: [&str; 4] = ["labels", "environment", "networks", "args"];

/// Lists that may be written as one value. They are still put one after the other.
const LISTS: [&str; 1] = ["label_file"];

/// Lists that count as one value.
const WHOLE: [&str; 3] = ["command", "entrypoint", "test"];

fn merge_at(key: &str, base: Node, over: Node) -> Node {
    let Node { span, value, tag } = over;
    match tag {
        Some(Tag::Reset) => return Node::new(span, Value::Null),
        Some(Tag::Override) => return Node::new(span, value),
        None => {}
    }
    let is_pairs = PAIRS.contains(&key);
    let (base, value) = match value {
        Value::Scalar(_) if LISTS.contains(&key) => (listed(base), listed(Node::new(span, value)).value),
        Value::List(_) if LISTS.contains(&key) => (listed(base), value),
        value => (base, value),
    };
    match (base.value, value) {
        (base_value, Value::Null) => Node::new(base.span, base_value),
        (base_value @ (Value::Map(_) | Value::List(_)), value @ (Value::Map(_) | Value::List(_)))
            if is_pairs =>
        {
            let base = pairs(&Node::new(base.span, base_value));
            Node::new(span, Value::Map(merge_entries(base, pairs(&Node::new(span, value)))))
        }
        (Value::Map(base), Value::Map(over)) => Node::new(span, Value::Map(merge_entries(base, over))),
        (Value::List(mut base), Value::List(over)) if !WHOLE.contains(&key) => {
            base.extend(over);
            Node::new(span, Value::List(base))
        }
        (_, value) => Node::new(span, value),
    }
}

/// A list of one item, for a single value.
fn listed(node: Node) -> Node {
    match node.value {
        Value::Scalar(_) => Node::new(node.span, Value::List(vec![node])),
        _ => node,
    }
}

fn merge_entries(
    base: Vec<(Spanned<String>, Node)>,
    over: Vec<(Spanned<String>, Node)>,
) -> Vec<(Spanned<String>, Node)> {
    let mut over: Vec<Option<(Spanned<String>, Node)>> = over.into_iter().map(Some).collect();
    let places: HashMap<String, usize> = over
        .iter()
        .enumerate()
        .filter_map(|(place, entry)| Some((entry.as_ref()?.0.value.clone(), place)))
        .collect();
    let mut merged = Vec::with_capacity(base.len() + over.len());
    for (key, node) in base {
        match places.get(&key.value).and_then(|place| over[*place].take()) {
            // The later value has the place.
            Some((_, over)) if over.tag == Some(Tag::Reset) => {}
            Some((over_key, over)) => {
                let node = merge_at(&key.value, node, over);
                merged.push((over_key, node));
            }
            None => merged.push((key, node)),
        }
    }
    merged.extend(over.into_iter().flatten().filter(|(_, node)| node.tag != Some(Tag::Reset)));
    merged
}

/// The entries of a mapping, or of a list of `key=value`. An item without `=` has no value.
pub(crate) fn pairs(node: &Node) -> Vec<(Spanned<String>, Node)> {
    match &node.value {
        Value::Map(entries) => entries.clone(),
        Value::List(items) => items.iter().filter_map(pair).collect(),
        _ => Vec::new(),
    }
}

fn pair(item: &Node) -> Option<(Spanned<String>, Node)> {
    let Value::Scalar(text) = &item.value else { return None };
    let Some(sign) = text.find('=') else {
        return Some((Spanned { value: text.clone(), span: item.span }, Node::new(item.span, Value::Null)));
    };
    let (key, value) = (&text[..sign], &text[sign + 1..]);
    let key_span = item.span.part(text, 0, sign);
    let value_span = item.span.part(text, sign + 1, text.len());
    Some((
        Spanned { value: key.to_owned(), span: key_span },
        Node::new(value_span, Value::Scalar(value.to_owned())),
    ))
}
