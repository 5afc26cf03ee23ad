//! A JSON Schema of compose files that knows the labels of the gate and allows everything else.

use serde_json::{Map, Value, json};

use super::labels::{KEYS, Key, PREFIXES};
use crate::config::keys::{Form, Row};
use crate::config::schema::json::of_form;
use crate::config::schema::native;

/// The start of a variable of the project.
const VARIABLE: &str = r"\$";

/// The schema of a file.
pub(in crate::config::dialects::compose) fn schema() -> Value {
    let (properties, routed): (Map<String, Value>, Map<String, Value>) =
        KEYS.iter().flat_map(|(word, key, _)| label(word, *key)).unzip();
    let words: Vec<String> = KEYS.iter().map(|(word, ..)| word.replace('.', r"\.")).collect();
    let ours = PREFIXES.join("|");
    let known = format!(r"^({ours})\.([A-Za-z0-9_-]+\.)?({})", words.join("|"));
    // Either a name that is known, or none of ours.
    let only_known = |end: &str| {
        json!({ "anyOf": [
            { "pattern": format!("{known}{end}") },
            { "not": { "pattern": format!(r"^({ours})\.") } },
        ] })
    };
    let labels = json!({ "$ref": "#/definitions/labels" });
    let labelled = json!({ "type": "object", "properties": { "labels": labels } });
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": { "services": { "type": "object", "additionalProperties": {
            "type": "object",
            "properties": { "labels": labels, "deploy": labelled },
        } } },
        "definitions": { "labels": { "anyOf": [
            {
                "type": "object",
                "properties": properties,
                "patternProperties": routed,
                "propertyNames": only_known("$"),
            },
            { "type": "array", "items": { "type": "string", "allOf": [only_known("(=|$)")] } },
        ] } },
    })
}

/// The properties of a label under each prefix: by its name, and by a pattern with the name of a route.
fn label(word: &str, key: Key) -> Vec<((String, Value), (String, Value))> {
    let (form, about) = described(key);
    let mut value = of_form(form, VARIABLE);
    // The value of a label is a text, and no mapping.
    if let Some(Value::Array(ways)) = value.get_mut("anyOf") {
        ways.retain(|way| way.get("$ref").is_none());
    }
    value["description"] = about.into();
    let pattern = word.replace('.', r"\.");
    let both = |prefix: &&str| {
        let by_name = (format!("{prefix}.{word}"), value.clone());
        (by_name, (format!(r"^{prefix}\.[A-Za-z0-9_-]+\.{pattern}$"), value.clone()))
    };
    PREFIXES.iter().map(both).collect()
}

/// The shape of a label's value, and one line about it.
fn described(key: Key) -> (Form, &'static str) {
    const SEVERAL: Form = Form::OneOrMany(&Form::Text);
    match key {
        Key::Host => {
            (SEVERAL, "The hosts, between commas. *. and a name takes exactly one label, * any other host.")
        }
        Key::Port => (Form::Number(1, 65_535), "The port inside the container."),
        Key::PortHttp => {
            (Form::Number(1, 65_535), "Beside passthrough: the port for connections in the clear.")
        }
        Key::RedirectFrom => (SEVERAL, "Hosts between commas that are redirected to host."),
        Key::Passthrough => {
            (Form::Text, "Whether the service terminates TLS itself and gets whole connections.")
        }
        Key::Target => (Form::Text, "A URL to forward to instead of the service."),
        Key::Scheme => (Form::Words(&["http", "https"]), "The protocol of the service."),
        Key::Rule(_) | Key::Upstream(_) => {
            let row = key.of_rule(false).and_then(|key| rule_row(&key));
            let row = row.expect("invariant: a label names a key of rules");
            // Labels have other words for yes and no, and lines in the place of names and values.
            let is_text = matches!(row.form, Form::Flag | Form::Names(_));
            let form = if is_text { Form::Text } else { row.form };
            (form, row.about)
        }
    }
}

/// The row of a key of a rule. A dot leads into a mapping.
fn rule_row(key: &str) -> Option<Row> {
    let find = |what: &str, key: &str| {
        let (_, mappings) = native();
        let mapping = mappings.iter().find(|mapping| mapping.what == what)?;
        mapping.rows().into_iter().find(|row| row.name == key)
    };
    let mut what = "a rule";
    let mut rest = key;
    while let Some((outer, inner)) = rest.split_once('.') {
        what = mapping_of(find(what, outer)?.form)?;
        rest = inner;
    }
    find(what, rest)
}

/// The mapping that a value may be.
fn mapping_of(form: Form) -> Option<&'static str> {
    match form {
        Form::Mapping(what) => Some(what),
        Form::OneOrMany(form) => mapping_of(*form),
        Form::Either(forms) => forms.iter().find_map(|form| mapping_of(*form)),
        _ => None,
    }
}
