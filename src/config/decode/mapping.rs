//! Reads a mapping. Every key that was asked for is known, and all others are unknown. So the known keys can never
//! differ from those that are read.

use super::decoder::Decoder;
use crate::config::diagnostics::{Span, Spanned, did_you_mean, nearly, quoted};
use crate::config::foreign;
use crate::config::keys::{ReadKey, Shape};
use crate::config::syntax::{Node, Value};
use crate::config::values::ValueError;

/// A mapping that is being read.
pub(crate) struct MappingReader<'d, 'a> {
    pub(crate) decoder: &'d mut Decoder<'a>,
    pub(crate) span: Span,
    /// The name of the mapping in messages: "a rule".
    pub(crate) what: &'static str,
    entries: Vec<(Spanned<String>, Option<Node>)>,
    known: Vec<&'static str>,
    /// Missing keys, of which one is needed, with a message and a hint.
    missing: Vec<(&'static [&'static str], String, &'static str)>,
}

impl ReadKey for MappingReader<'_, '_> {
    fn read<T>(&mut self, name: &'static str, shape: &Shape<T>) -> Option<T> {
        self.parsed(name, shape.parse).map(|value| value.value)
    }
}

impl<'d, 'a> MappingReader<'d, 'a> {
    /// Opens a mapping. Any other value is an error.
    pub(crate) fn open(decoder: &'d mut Decoder<'a>, node: Node, what: &'static str) -> Option<Self> {
        let Value::Map(entries) = node.value else {
            decoder.report.error_hint(node.span, format!("{what} is a mapping"), form(what));
            return None;
        };
        let entries = entries.into_iter().map(|(key, node)| (key, Some(node))).collect();
        Some(MappingReader {
            decoder,
            span: node.span,
            what,
            entries,
            known: Vec::new(),
            missing: Vec::new(),
        })
    }

    /// The place of a key, if it is there.
    pub(crate) fn at(&self, name: &str) -> Option<Span> {
        self.entries.iter().find(|(key, _)| key.value == name).map(|(key, _)| key.span)
    }

    /// Reads the value of a key, if it is there. A key without a value is an error.
    pub(crate) fn field<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Decoder<'a>, Node) -> Option<T>,
    ) -> Option<T> {
        self.known.push(name);
        let (key, node) = self.entries.iter_mut().find(|(key, _)| key.value == name)?;
        let node = node.take()?;
        if let Value::Null = node.value {
            let message = format!("{} has no value", quoted(&key.value));
            let hint = match name {
                "listeners" => format!("write for example `{SAMPLE}`"),
                _ => "leave the key out, or give it one".to_owned(),
            };
            self.decoder.report.error_hint(key.span, message, hint);
            return None;
        }
        read(self.decoder, node)
    }

    /// Reads the value of a key with a function that parses text.
    pub(crate) fn parsed<T>(
        &mut self,
        name: &'static str,
        parse: fn(&str) -> Result<T, ValueError>,
    ) -> Option<Spanned<T>> {
        self.field(name, |decoder, node| decoder.parsed(node, parse))
    }

    /// Reads a flag. A missing or wrong one is `false`.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        self.field(name, Decoder::flag).is_some_and(|flag| flag.value)
    }

    /// Reports an error if the key is missing.
    pub(crate) fn require(&mut self, name: &'static [&'static str; 1]) {
        if self.at(name[0]).is_none() {
            let message = format!("{} needs `{}`", self.what, name[0]);
            self.missing(name, message, "");
        }
    }

    /// Reports that one of these keys is needed, and why or what for.
    pub(crate) fn missing(&mut self, names: &'static [&'static str], message: String, hint: &'static str) {
        self.missing.push((names, message, hint));
    }

    /// Reports known keys that have no meaning here. The message tells the reason.
    pub(crate) fn not_here(&mut self, names: &[&'static str], why: &str, hint: &str) {
        for name in names {
            if let Some((key, node)) = self.entries.iter_mut().find(|(key, _)| key.value == *name) {
                *node = None;
                self.decoder.report.error_hint(key.span, format!("`{name}` {why}"), hint);
            }
        }
    }

    /// Drops entries that belong to others.
    pub(crate) fn ignore(&mut self, none_of_ours: impl Fn(&str) -> bool) {
        self.entries.retain(|(key, _)| !none_of_ours(&key.value));
    }

    /// Reports every key that was not asked for as unknown. A key that seems to be misspelt is not reported as
    /// missing too.
    pub(crate) fn close(self) {
        let MappingReader { decoder, span, what, entries, known, missing } = self;
        let mut meant = Vec::new();
        for (key, node) in entries {
            if node.is_none() || known.contains(&key.value.as_str()) {
                continue;
            }
            let message = format!("{} is not a key of {what}", quoted(&key.value));
            let (ours, hint) = match decoder.notation.tells_of_other_proxies() {
                true => instead(&key.value, what, &known),
                false => among(&key.value, what, &known),
            };
            meant.extend(ours);
            decoder.report.error_hint(key.span, message, hint);
        }
        for (names, message, hint) in missing {
            if !names.iter().any(|name| meant.contains(name)) {
                decoder.report.error_hint(span, message, hint);
            }
        }
    }
}

/// A configuration that serves something.
pub(crate) const SAMPLE: &str =
    "listeners: [{ name: http, bind: \":8080\", rules: [{ target: \"http://localhost:9000\" }] }]";

/// The key of ours that is meant by an unknown one, and the hint.
fn instead(key: &str, what: &str, known: &[&'static str]) -> (Option<&'static str>, String) {
    let (meant, text) = foreign::meant(key, known).unzip();
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        return (meant, text.to_owned());
    }
    let is_slip = nearly(key, known.iter().copied()).is_some();
    let (near, hint) = among(key, what, known);
    let foreign = foreign::write_instead(key).filter(|_| !is_slip);
    (meant.or(near), foreign.unwrap_or(hint))
}

/// The known key that is nearly the unknown one, and the hint.
fn among(key: &str, what: &str, known: &[&'static str]) -> (Option<&'static str>, String) {
    let slip = nearly(key, known.iter().copied());
    let near = slip.or_else(|| did_you_mean(key, known.iter().copied()));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the keys of {what} are {}", known.join(", ")),
    };
    (near, hint)
}

/// A hint for a value that is no mapping.
fn form(what: &str) -> String {
    let form = match what {
        "a configuration" => SAMPLE,
        "a listener" => "name: http, bind: \":8080\", rules: [...]",
        "`http_config`" => "http_config: { port: \":8080\" }",
        "`tcp`" => "tcp: { port: \":5432\", target: \"host:port\" }",
        "`tls` of a listener" => "tls: { certificates: [{ cert: FILE, key: FILE }] }",
        "`tls`" => {
            "tls: { ca: FILE }` or `tls: { sni: NAME }`; for TLS alone, `https://` in the target is enough: `target: \"https://host\""
        }
        "a rule" => "host: NAME, target: \"http://host:port\"",
        "a response" => "respond: { status: 404, body: \"not found\" }",
        "a route" => "path: /api/, target: \"http://host:port\"",
        "a plugin" => "plugins: { NAME: { run: PROGRAM } }",
        "`plugins` of a rule" => "plugins: NAME",
        "`mirror`" => "mirror: { upstream: NAME }",
        "`speed`" => "speed: { download: 50Mbit }",
        "`auth`" => "auth: { basic: { users_file: FILE } }`, `auth: { jwt: URL }` or `auth: { forward: URL }",
        "`sticky`" => "sticky: { cookie: NAME }",
        "`queue`" => "queue: { max: 256 }",
        "`headers`" => "headers: { response: { set: { NAME: VALUE } } }",
        "a change of fields" => "{ set: { NAME: VALUE }, remove: NAME }",
        "a set of policies" => "NAME: { rate_limit: 100/1m }",
        "an upstream" => "NAME: { targets: [\"http://host:port\"] }",
        "the internal API" => {
            "internal_api: { bind: \"127.0.0.1:42007\" }`; it is always on, and a socket keeps it to this machine: `bind: \"unix:/run/smolgate.sock\""
        }
        _ => "key: value",
    };
    format!("write `{form}`")
}
