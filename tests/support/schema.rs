//! A validator for the part of JSON Schema that `smolgate schema` uses.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;
use serde_json::{Map, Value};
use smolgate::config::Format;

/// A schema and its definitions.
pub struct Schema(Value);

impl Schema {
    /// The schema of a format.
    pub fn of(format: &str) -> Schema {
        Schema(Format::named(format).expect("a format").schema())
    }

    /// The keys of each mapping, by its title.
    pub fn keys(&self) -> BTreeMap<String, BTreeSet<String>> {
        let definitions = self.0["definitions"].as_object().expect("definitions");
        let keys = |mapping: &Value| {
            let properties = mapping["properties"].as_object().expect("properties");
            (mapping["title"].as_str().expect("a title").to_owned(), properties.keys().cloned().collect())
        };
        definitions.values().map(keys).collect()
    }

    /// The default of a key, as it would be written.
    pub fn default(&self, mapping: &str, key: &str) -> Option<String> {
        let definitions = self.0["definitions"].as_object().expect("definitions");
        let mapping = definitions.values().find(|definition| definition["title"] == mapping)?;
        match &mapping["properties"][key]["default"] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// The first thing in a YAML text that the schema refuses.
    pub fn check(&self, yaml: &str) -> Result<(), String> {
        let value: Value = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
        // An empty file is a file without keys.
        if value.is_null() { Ok(()) } else { self.value(&self.0, &value, "") }
    }

    fn value(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let schema = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => return Err(format!("{at} may not be here")),
            schema => schema.as_object().expect("a schema"),
        };
        schema.iter().try_for_each(|(keyword, rule)| self.keyword((keyword, rule), schema, value, at))
    }

    fn keyword(
        &self,
        (keyword, rule): (&str, &Value),
        schema: &Map<String, Value>,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        let all = |rules: &Value| rules.as_array().expect("schemas").clone();
        let fine = match keyword {
            "$schema" | "definitions" | "title" | "description" | "default" | "patternErrorMessage" => true,
            "$ref" => {
                let pointer = rule.as_str().and_then(|rule| rule.strip_prefix('#')).expect("a reference");
                return self.value(self.0.pointer(pointer).expect("a definition"), value, at);
            }
            "allOf" => return all(rule).iter().try_for_each(|schema| self.value(schema, value, at)),
            "anyOf" => {
                let errors: Vec<String> =
                    all(rule).iter().filter_map(|schema| self.value(schema, value, at).err()).collect();
                if errors.len() < all(rule).len() { return Ok(()) } else { return Err(errors.join(", or ")) }
            }
            "not" => self.value(rule, value, at).is_err(),
            "type" => {
                let is = |name: &Value| is_of_type(value, name.as_str().expect("a type"));
                rule.as_array().map_or_else(|| is(rule), |names| names.iter().any(is))
            }
            "enum" => all(rule).contains(value),
            "pattern" => value.as_str().is_none_or(|text| matches(rule, text)),
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
            "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()),
            "items" => {
                let mut items = value.as_array().into_iter().flatten().enumerate();
                return items.try_for_each(|(index, item)| self.value(rule, item, &format!("{at}/{index}")));
            }
            "required" => {
                let has = |name: &Value| value.get(name.as_str().unwrap()).is_some();
                !value.is_object() || all(rule).iter().all(has)
            }
            "propertyNames" => {
                let mut names = value.as_object().into_iter().flat_map(Map::keys);
                return names.try_for_each(|name| self.value(rule, &name.as_str().into(), at));
            }
            "properties" | "patternProperties" | "additionalProperties" => {
                return self.properties(keyword, schema, value, at);
            }
            other => panic!("the validator does not know `{other}`"),
        };
        if fine { Ok(()) } else { Err(format!("{at}: {value} is against {keyword} {rule}")) }
    }

    fn properties(
        &self,
        keyword: &str,
        schema: &Map<String, Value>,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        let named = schema.get("properties").and_then(Value::as_object);
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        for (name, value) in value.as_object().into_iter().flatten() {
            let at = format!("{at}/{name}");
            let own = named.and_then(|named| named.get(name));
            let alike = patterns
                .into_iter()
                .flatten()
                .filter(|(pattern, _)| Regex::new(pattern).expect("a pattern").is_match(name));
            let mut alike = alike.map(|(_, rule)| rule);
            match keyword {
                "properties" => own.into_iter().try_for_each(|rule| self.value(rule, value, &at))?,
                "patternProperties" => alike.try_for_each(|rule| self.value(rule, value, &at))?,
                _ if own.is_none() && alike.next().is_none() => self.value(&schema[keyword], value, &at)?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn matches(pattern: &Value, text: &str) -> bool {
    Regex::new(pattern.as_str().expect("a pattern")).expect("a pattern").is_match(text)
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("no type is `{other}`"),
    }
}
