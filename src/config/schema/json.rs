//! Mappings as a JSON Schema of draft 7, which the language servers of editors know best.

use serde_json::{Map, Value, json};

use super::by_hand::REQUIRED;
use super::mappings::Mapping;
use crate::config::keys::{Form, Row};

/// The end of a pattern: text with a reference that is filled in. `$$` stands for a `$`.
const REFERENCE: &str = r"(^|[^$])(\$\$)*\$\{(env|file):";
const DURATION: &str = "^([0-9]+|([0-9]+ *(ms|s|m|h|d))+)$";
const SIZE: &str = "^[0-9]+ *(B|[kKMGT]B|[KMGT]iB)?$";
const DURATION_EXAMPLE: &str = "for example 500ms, 5s, 1m30s or a number of seconds";
const SIZE_EXAMPLE: &str = "for example 64KiB, 10MB or a number of bytes";

/// The schema of files that are the mapping `root`. Keys that begin with `x-` hold anchors.
pub(crate) fn file((root, mappings): (&str, &[Mapping])) -> Value {
    let definitions: Map<String, Value> =
        mappings.iter().map(|mapping| (id(mapping.what), object(mapping))).collect();
    let mut schema = definitions[&id(root)].clone();
    schema["patternProperties"] = json!({ "^x-": {} });
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema["definitions"] = definitions.into();
    schema
}

/// The definition of a mapping: `tls-of-a-listener`.
fn id(what: &str) -> String {
    what.replace('`', "").replace(' ', "-")
}

fn object(mapping: &Mapping) -> Value {
    let rows = mapping.rows();
    let required: Vec<&str> = rows.iter().filter(|row| row.default == REQUIRED).map(|row| row.name).collect();
    let properties: Map<String, Value> =
        rows.iter().map(|row| (row.name.to_owned(), property(row))).collect();
    json!({
        "title": mapping.what,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(row: &Row) -> Value {
    let mut schema = of_form(row.form, REFERENCE);
    // Draft 7 ignores what stands beside a `$ref`.
    if schema.get("$ref").is_some() {
        schema = json!({ "allOf": [schema] });
    }
    schema["description"] = row.about.into();
    if !row.default.is_empty() && row.default != REQUIRED {
        schema["default"] = typed(row.default.trim_matches('"'));
    }
    schema
}

/// A scalar of YAML: a number or a boolean where it looks like one.
fn typed(text: &str) -> Value {
    let scalar =
        serde_json::from_str(text).ok().filter(|value: &Value| value.is_number() || value.is_boolean());
    scalar.unwrap_or_else(|| text.into())
}

/// The schema of a value. A string in which `reference` matches is valid whatever stands around it.
pub(crate) fn of_form(form: Form, reference: &str) -> Value {
    let of = |form: &Form| of_form(*form, reference);
    // A number from `least` on, or a string of the pattern. Language servers show the message.
    let number = |least: usize, pattern: &str, message: &str| {
        json!({
            "type": ["integer", "string"],
            "minimum": least,
            "pattern": format!("{pattern}|{reference}"),
            "patternErrorMessage": message,
        })
    };
    match form {
        Form::Text => json!({ "type": ["string", "number", "boolean"] }),
        Form::Flag => json!({
            "type": ["boolean", "string"],
            "pattern": format!("^([Tt]rue|TRUE|[Ff]alse|FALSE)$|{reference}"),
            "patternErrorMessage": "write true or false",
        }),
        Form::Duration => number(0, DURATION, DURATION_EXAMPLE),
        Form::Timeout => number(1, DURATION, DURATION_EXAMPLE),
        Form::Size => number(0, SIZE, SIZE_EXAMPLE),
        Form::SizeOr(word) => {
            number(0, &format!("^{word}$|{SIZE}"), &format!("write {word}, or {SIZE_EXAMPLE}"))
        }
        Form::Number(least, most) => {
            let mut schema = number(least, "^[0-9]+$", "write a whole number");
            schema["maximum"] = most.into();
            schema
        }
        Form::Words(words) => {
            // A word that looks like a number may be written as one.
            let texts = words.iter().map(|word| Value::from(*word));
            let others = words.iter().map(|word| typed(word)).filter(|value| !value.is_string());
            let all: Vec<Value> = texts.chain(others).collect();
            json!({ "anyOf": [{ "enum": all }, { "type": "string", "pattern": reference }] })
        }
        Form::OneOrMany(form) => {
            json!({ "anyOf": [of(form), { "type": "array", "minItems": 1, "items": of(form) }] })
        }
        Form::List(form) => json!({ "type": "array", "items": of(form) }),
        Form::Names(form) => json!({ "type": "object", "additionalProperties": of(form) }),
        Form::Mapping(what) => json!({ "$ref": format!("#/definitions/{}", id(what)) }),
        Form::Either(forms) => json!({ "anyOf": forms.iter().map(of).collect::<Vec<_>>() }),
        Form::Any => json!({}),
    }
}
