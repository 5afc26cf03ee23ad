//! The labels of a route as values, and as the keys of a rule.

use crate::config::decode::Decoder;
use crate::config::diagnostics::{Span, Spanned};
use crate::config::dialects::compose::labels::{Key, Label, Labels, With};
use crate::config::dialects::compose::project::Reader;
use crate::config::source::RuleSource;
use crate::config::source::rule::rule;
use crate::config::syntax::{Node, Value};
use crate::config::values::environment::flag;
use crate::config::values::{ValueError, pattern};

/// The labels of a route as values. Errors are reported.
pub(super) struct Values<'v, 'a> {
    pub(super) reader: &'v mut Reader<'a>,
    pub(super) labels: &'v Labels,
}

impl Values<'_, '_> {
    /// The value of a label. Its place is that of the label's name.
    pub(super) fn parsed<T>(
        &mut self,
        key: Key,
        parse: fn(&str) -> Result<T, ValueError>,
    ) -> Option<Spanned<T>> {
        let (span, node) = self.node(key)?;
        let value = self.reader.decode(|decoder| decoder.parsed(node, parse))?;
        Some(Spanned { value: value.value, span })
    }

    /// The values of a label with one or many. Their place is that of the label's name.
    pub(super) fn many<T>(&mut self, key: Key, parse: fn(&str) -> Result<T, ValueError>) -> Vec<Spanned<T>> {
        let Some((span, node)) = self.node(key) else { return Vec::new() };
        let values = self.reader.decode(|decoder| decoder.parsed_many(node, parse));
        values.into_iter().map(|value| Spanned { value: value.value, span }).collect()
    }

    /// The place of a label's name, and its value.
    pub(super) fn node(&mut self, key: Key) -> Option<(Span, Node)> {
        let label = self.labels.get(key)?;
        self.valued(label).map(|node| (label.span, node))
    }

    fn valued(&mut self, label: &Label) -> Option<Node> {
        if let Value::Null = label.value.value {
            let hint = "give it one, or leave it out";
            self.reader.report.error_hint(label.span, "this label has no value", hint);
            return None;
        }
        Some(label.value.clone())
    }

    pub(super) fn error(&mut self, key: Key, message: &str, hint: &str) {
        if let Some(label) = self.labels.get(key) {
            self.reader.report.error_hint(label.span, message, hint);
        }
    }

    /// The labels that are keys of a rule. A label without a meaning for this route is a warning.
    pub(super) fn rule_keys(&mut self, passthrough: bool) -> RuleKeys {
        let mut keys = RuleKeys(Vec::new());
        for label in &self.labels.labels {
            let (meaningless, why, hint) = match label.with {
                With::Any => (false, "", ""),
                With::Requests => {
                    (passthrough, "beside", "leave it out: the whole connection is passed on as it is")
                }
                With::Connections => (!passthrough, "without", "leave it out"),
            };
            if meaningless {
                let message = format!("`{}` means nothing {why} `passthrough`", label.word);
                self.reader.report.warning(Some(label.span), message, hint);
            } else if let Some(key) = label.key.of_rule(passthrough)
                && let Some(node) = self.valued(label)
                && !keys.insert(&key, label.span, node)
            {
                let is_whole = |other: &&Label| is_part(label.key, other.key);
                let other = self.labels.labels.iter().find(is_whole).map_or("", |other| other.word);
                let message = format!("`{}` cannot stand beside `{other}`", label.word);
                let hint = format!("leave `{other}` out, and write its value as a label like this one");
                self.reader.report.error_hint(label.span, message, hint);
            }
        }
        self.without_idle_strip(keys)
    }

    /// Leaves `strip_prefix` out if there is no path to be taken off, with a warning.
    fn without_idle_strip(&mut self, mut keys: RuleKeys) -> RuleKeys {
        let path = keys.get("path_prefix").map(|(_, node)| self.reader.lenient(node));
        let whole = path.is_none_or(|path| pattern::path_prefix(&path).is_ok_and(|path| &*path == "/"));
        let strip = keys.get("strip_path_prefix").filter(|_| whole);
        if let Some((key, node)) = strip
            && flag(&self.reader.lenient(node)) == Ok(true)
        {
            let message = "`strip_prefix` means nothing without `path`";
            self.reader.report.warning(Some(key.span), message, "add the `path` to be taken off");
            keys.0.retain(|(key, _)| key.value != "strip_path_prefix");
        }
        keys
    }
}

/// The keys of a rule, as its reader takes them.
pub(super) struct RuleKeys(Vec<(Spanned<String>, Node)>);

impl RuleKeys {
    fn get(&self, name: &str) -> Option<&(Spanned<String>, Node)> {
        self.0.iter().find(|(key, _)| key.value == name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Adds a key. A dot leads into a mapping. Returns whether there was no other value in its place.
    pub(super) fn insert(&mut self, key: &str, span: Span, node: Node) -> bool {
        insert(&mut self.0, key, span, node)
    }

    /// The rule of these keys. Its place is that of the label with the host.
    pub(super) fn read(self, reader: &mut Reader<'_>, place: Span) -> RuleSource {
        let node = Node::new(place, Value::Map(self.0));
        let rule = reader.decode(|decoder: &mut Decoder<'_>| rule(decoder, node));
        let mut rule = rule.expect("invariant: the reader takes every mapping");
        rule.path_prefix.get_or_insert_with(|| "/".into());
        rule
    }
}

/// Whether the key `whole` has the value of the mapping that `part` stands in.
fn is_part(part: Key, whole: Key) -> bool {
    let (Key::Upstream(part) | Key::Rule(part), Key::Upstream(whole) | Key::Rule(whole)) = (part, whole)
    else {
        return false;
    };
    part.split_once('.').is_some_and(|(outer, _)| outer == whole)
        || whole.split_once('.').is_some_and(|(outer, _)| outer == part)
}

fn insert(entries: &mut Vec<(Spanned<String>, Node)>, key: &str, span: Span, node: Node) -> bool {
    let (outer, inner) = key.split_once('.').map_or((key, None), |(outer, inner)| (outer, Some(inner)));
    let at = entries.iter().position(|(known, _)| known.value == outer);
    let Some(inner) = inner else {
        entries.extend(at.is_none().then(|| (Spanned { value: outer.to_owned(), span }, node)));
        return at.is_none();
    };
    let at = at.unwrap_or_else(|| {
        let value = Node::new(span, Value::Map(Vec::new()));
        entries.push((Spanned { value: outer.to_owned(), span }, value));
        entries.len() - 1
    });
    match &mut entries[at].1.value {
        Value::Map(entries) => insert(entries, inner, span, node),
        _ => false,
    }
}
