//! The same values as JSON, so that a plugin needs no library.

use std::borrow::Cow;

use serde_json::{Map, Number};

use super::value::{MessageError, Value};
use crate::auth::encode;

/// Values of one message. As in MessagePack.
const PARTS_MAX: usize = 16 * 1024;

/// Writes a value. Bytes that are not UTF-8 are taken for Latin-1; those of a body are in base64.
pub(super) fn write(value: &Value<'_>, out: &mut Vec<u8>) {
    // Writing a value without a key of another kind than text into memory cannot fail.
    let _ = serde_json::to_writer(out, &to_json(value));
}

fn to_json(value: &Value<'_>) -> serde_json::Value {
    match value {
        Value::Nil => serde_json::Value::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Byte(number) => (*number).into(),
        Value::Int(number) | Value::Int64(number) => (*number).into(),
        Value::Float(number) => {
            Number::from_f64(*number).map_or(serde_json::Value::Null, serde_json::Value::Number)
        }
        Value::Text(text) => characters(text).into(),
        Value::Binary(bytes) => encode(bytes).into(),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| (characters(key), to_json(value)));
            serde_json::Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

/// The characters of text. Field values of HTTP are Latin-1 if they are not UTF-8.
fn characters(text: &[u8]) -> String {
    match std::str::from_utf8(text) {
        Ok(text) => text.to_owned(),
        Err(_) => text.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// Reads one value, which all of the bytes are.
///
/// # Errors
/// They are no JSON, or too large a value.
pub(super) fn read(bytes: &[u8]) -> Result<Value<'static>, MessageError> {
    // Parts are counted before they take memory: each but the first follows one of these bytes.
    let is_joint = |byte: &&u8| matches!(byte, b',' | b':' | b'[' | b'{');
    let outside_of_texts = bytes.iter().filter(is_joint).count();
    if outside_of_texts > PARTS_MAX * 4 {
        return Err(MessageError::TooLarge);
    }
    let value = serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => MessageError::Truncated,
        _ => MessageError::Malformed,
    })?;
    from_json(value)
}

fn from_json(value: serde_json::Value) -> Result<Value<'static>, MessageError> {
    Ok(match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(flag) => Value::Bool(flag),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) if !number.is_nan() => Value::Float(number),
            (None, _) => return Err(MessageError::Malformed),
        },
        serde_json::Value::String(text) => Value::Text(Cow::Owned(text.into_bytes())),
        serde_json::Value::Array(items) => {
            Value::List(items.into_iter().map(from_json).collect::<Result<_, _>>()?)
        }
        serde_json::Value::Object(entries) => {
            let entry = |(key, value): (String, _)| Ok((Cow::Owned(key.into_bytes()), from_json(value)?));
            Value::Map(entries.into_iter().map(entry).collect::<Result<_, _>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_and_read_as_json() {
        let headers = [(b"X-A".to_vec(), b"caf\xe9".to_vec())];
        let value = Value::Map(vec![
            (Cow::Borrowed(b"ok"), Value::Bool(true)),
            (Cow::Borrowed(b"s"), Value::Int(401)),
            (Cow::Borrowed(b"h"), Value::texts(&headers)),
            (Cow::Borrowed(b"bd"), Value::Binary(Cow::Borrowed(b"\0\xff"))),
        ]);
        let mut out = Vec::new();
        write(&value, &mut out);
        let text = r#"{"bd":"AP8=","h":{"X-A":"café"},"ok":true,"s":401}"#;
        assert_eq!(String::from_utf8(out).unwrap(), text);
        let back = read(text.as_bytes()).unwrap();
        assert_eq!((back.flag("ok"), back.int("s")), (Ok(true), Ok(401)));
        assert_eq!(back.text_map("h"), Ok(vec![(b"X-A".to_vec(), "café".as_bytes().to_vec())]));
    }

    #[test]
    fn text_that_is_no_json_is_refused() {
        for (text, error) in [
            ("", MessageError::Truncated),
            ("{\"a\":", MessageError::Truncated),
            ("{} {}", MessageError::Malformed),
            ("\u{1}", MessageError::Malformed),
        ] {
            assert_eq!(read(text.as_bytes()), Err(error), "{text}");
        }
        assert_eq!(
            read(&[&b"["[..], &b"0,".repeat(PARTS_MAX * 4 + 1)].concat()),
            Err(MessageError::TooLarge)
        );
        assert!(read("[".repeat(10_000).as_bytes()).is_err());
    }
}
