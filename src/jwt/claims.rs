//! The claims of a token that was verified.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::json;
use super::outcome::TokenError;
use crate::http::Claim;

/// The claims of a token. A dot in a name leads into an object, unless there is a claim of the whole name.
#[derive(Debug)]
pub struct Claims(pub(super) Map<String, Value>);

impl Claims {
    /// The claims of a text. `None` if it is no object, or one in which a name stands twice.
    pub fn read(text: &[u8]) -> Option<Claims> {
        json::object(text).map(Claims)
    }

    fn find(&self, name: &str) -> Option<&Value> {
        let mut object = &self.0;
        let mut name = name;
        loop {
            if let Some(value) = object.get(name) {
                return Some(value);
            }
            let (first, rest) = name.split_once('.')?;
            (object, name) = (object.get(first)?.as_object()?, rest);
        }
    }

    /// Whether a claim has one of these values, or is a list with one of them. `scope` is a list of words (RFC 8693,
    /// section 4.2).
    pub fn has(&self, name: &str, wanted: &[Arc<str>]) -> bool {
        let is_wanted = |text: &str| wanted.iter().any(|one| **one == *text);
        let is = |value: &Value| match value {
            Value::String(text) => is_wanted(text),
            Value::Bool(_) | Value::Number(_) => is_wanted(&value.to_string()),
            _ => false,
        };
        match self.find(name) {
            Some(Value::String(words)) if name == "scope" => words.split(' ').any(is_wanted),
            Some(Value::Array(list)) => list.iter().any(is),
            value => value.is_some_and(is),
        }
    }

    /// The value of a claim for a field. `None` if it has none, is empty, or is an object.
    ///
    /// # Errors
    /// `Claim`: it has a control character.
    pub fn field(&self, name: &str) -> Result<Option<Vec<u8>>, TokenError> {
        let Some(value) = self.find(name) else { return Ok(None) };
        if has_control(value) {
            Err(TokenError::Claim)
        } else {
            Ok(text_of(value).filter(|text| !text.is_empty()))
        }
    }

    /// Every claim as a text, the parts of an object by their names with dots.
    pub fn texts(&self) -> Vec<Claim> {
        let mut texts = Vec::new();
        add_texts(&self.0, "", &mut texts);
        texts
    }
}

fn add_texts(object: &Map<String, Value>, prefix: &str, texts: &mut Vec<Claim>) {
    // A claim of a whole name comes before the part of an object.
    for (name, value) in object {
        let name = || format!("{prefix}{name}").into();
        texts.extend(text_of(value).map(|value| Claim { name: name(), value: value.into() }));
    }
    for (name, value) in object {
        if let Value::Object(inner) = value {
            add_texts(inner, &format!("{prefix}{name}."), texts);
        }
    }
}

fn has_control(value: &Value) -> bool {
    match value {
        Value::String(text) => text.chars().any(char::is_control),
        Value::Array(list) => list.iter().any(has_control),
        _ => false,
    }
}

/// A value as text in visible ASCII and spaces. Other bytes and `%` are percent-encoded, and in a list commas too.
fn text_of(value: &Value) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    match value {
        Value::Array(list) => {
            for item in list.iter().filter(|item| !item.is_array()) {
                let Some(item) = plain(item) else { continue };
                if !text.is_empty() {
                    text.push(b',');
                }
                encode(&item, b"%,", &mut text);
            }
        }
        value => encode(&plain(value)?, b"%", &mut text),
    }
    Some(text)
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn encode(value: &str, besides: &[u8], text: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        if matches!(byte, b' '..=b'~') && !besides.contains(&byte) {
            text.push(byte);
        } else {
            text.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(text: &str) -> Claims {
        Claims::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_claim_has_a_value_if_it_is_that_or_a_list_with_it() {
        let claims = claims(
            r#"{"role":"admin","roles":["a","b,c"],"email_verified":true,"level":3,"scope":"read write",
                "realm":{"roles":["x"],"a.b":"y"},"https://a.test/role":"z","realm.whole":"w","other":"read write"}"#,
        );
        for (name, value) in [
            ("role", "admin"),
            ("roles", "a"),
            ("roles", "b,c"),
            ("email_verified", "true"),
            ("level", "3"),
            ("scope", "write"),
            ("realm.roles", "x"),
            ("realm.a.b", "y"),
            ("https://a.test/role", "z"),
            ("realm.whole", "w"),
        ] {
            assert!(claims.has(name, &["no".into(), value.into()]), "{name}");
            assert!(!claims.has(name, &["no".into()]), "{name}");
        }
        for (name, value) in
            [("role", "adm"), ("roles", "b"), ("roles", "c"), ("none", ""), ("realm", "x"), ("other", "read")]
        {
            assert!(!claims.has(name, &[value.into()]), "{name}");
        }
    }

    #[test]
    fn a_claim_is_a_text_that_no_field_takes_for_anything_else() {
        let claims = claims(
            r#"{"sub":"Ann Lee","name":"Jos\u00e9 100%","roles":["a","b,c",1,null,["d"]],"bad":"a\r\nX-B: c",
                "list":["a","b\u0000"],"none":null,"object":{"a":"b"},"empty":""}"#,
        );
        for (name, text) in [
            ("sub", Ok(Some("Ann Lee"))),
            ("name", Ok(Some("Jos%C3%A9 100%25"))),
            ("roles", Ok(Some("a,b%2Cc,1"))),
            ("object.a", Ok(Some("b"))),
            ("bad", Err(TokenError::Claim)),
            ("list", Err(TokenError::Claim)),
            ("none", Ok(None)),
            ("object", Ok(None)),
            ("empty", Ok(None)),
            ("missing", Ok(None)),
        ] {
            assert_eq!(
                claims.field(name),
                text.map(|text| text.map(|text| text.as_bytes().to_vec())),
                "{name}"
            );
        }
        let texts = claims.texts();
        let find = |name: &str| texts.iter().find(|claim| &*claim.name == name).map(|claim| &*claim.value);
        assert_eq!(find("bad"), Some(&b"a%0D%0AX-B: c"[..]));
        assert_eq!((find("object.a"), find("object")), (Some(&b"b"[..]), None));
    }
}
