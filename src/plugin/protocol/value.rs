//! A value of a message, whatever its encoding.

use std::borrow::Cow;
use std::fmt;

/// A value of a message. Text is bytes, because field values of HTTP need not be UTF-8.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// No value, which stands for the zero value of its kind.
    Nil,
    /// A flag.
    Bool(bool),
    /// A number of one byte, which MessagePack writes in two.
    Byte(u8),
    /// A number, which MessagePack writes in its shortest form.
    Int(i64),
    /// A number, which MessagePack always writes in nine bytes.
    Int64(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Text(Cow<'a, [u8]>),
    /// Bytes.
    Binary(Cow<'a, [u8]>),
    /// Values in order.
    List(Vec<Value<'a>>),
    /// Values with their keys, in order.
    Map(Entries<'a>),
}

/// Names with values.
pub type Texts = Vec<(Vec<u8>, Vec<u8>)>;

/// The entries of a map.
pub type Entries<'a> = Vec<(Cow<'a, [u8]>, Value<'a>)>;

/// Why the bytes of a plugin are not a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageError {
    /// The bytes end inside of a value.
    Truncated,
    /// Bytes follow the value.
    Surplus,
    /// The bytes are not of the encoding.
    Malformed,
    /// The value has too many parts, or they stand too deep.
    TooLarge,
    /// The value under this key is of another kind than the protocol says.
    Kind(&'static str),
    /// The value under this key may not stand there: HTTP does not allow it.
    Forbidden(&'static str),
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the message ends too early"),
            Self::Surplus => f.write_str("bytes follow the message"),
            Self::Malformed => f.write_str("the message is not of the encoding that the plugin has named"),
            Self::TooLarge => f.write_str("the message has too many parts"),
            Self::Kind(key) => write!(f, "the value of `{key}` is of the wrong kind"),
            Self::Forbidden(key) => write!(f, "the value of `{key}` is not allowed"),
        }
    }
}

impl<'a> Value<'a> {
    /// Text that is borrowed.
    pub fn text(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::Text(Cow::Borrowed(text.as_ref()))
    }

    /// A map of text to text.
    pub fn texts(entries: &'a [(Vec<u8>, Vec<u8>)]) -> Self {
        let entry = |(key, value): &'a (Vec<u8>, Vec<u8>)| (Cow::Borrowed(&**key), Value::text(value));
        Self::Map(entries.iter().map(entry).collect())
    }

    /// The value under a key of a map. The last one counts.
    pub fn get(&self, key: &str) -> &Value<'a> {
        let Self::Map(entries) = self else { return &Value::Nil };
        let found = entries.iter().rev().find(|(name, _)| **name == *key.as_bytes());
        found.map_or(&Value::Nil, |(_, value)| value)
    }

    /// The flag under a key; `false` without one.
    ///
    /// # Errors
    /// It is of another kind. So it is for the functions that follow.
    pub fn flag(&self, key: &'static str) -> Result<bool, MessageError> {
        match self.get(key) {
            Value::Nil => Ok(false),
            Value::Bool(flag) => Ok(*flag),
            _ => Err(MessageError::Kind(key)),
        }
    }

    /// The whole number under a key; 0 without one.
    pub fn int(&self, key: &'static str) -> Result<i64, MessageError> {
        match self.get(key) {
            Value::Nil => Ok(0),
            Value::Byte(number) => Ok((*number).into()),
            Value::Int(number) | Value::Int64(number) => Ok(*number),
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => Ok(*number as i64),
            _ => Err(MessageError::Kind(key)),
        }
    }

    /// The number under a key; 0 without one.
    pub fn float(&self, key: &'static str) -> Result<f64, MessageError> {
        match self.get(key) {
            Value::Float(number) => Ok(*number),
            _ => self.int(key).map(|number| number as f64),
        }
    }

    /// The text under a key; empty without one.
    pub fn bytes(&self, key: &'static str) -> Result<&[u8], MessageError> {
        match self.get(key) {
            Value::Nil => Ok(b""),
            Value::Text(bytes) | Value::Binary(bytes) => Ok(bytes),
            _ => Err(MessageError::Kind(key)),
        }
    }

    /// The map of text to text under a key; empty without one.
    pub fn text_map(&self, key: &'static str) -> Result<Texts, MessageError> {
        let entries = match self.get(key) {
            Value::Nil => return Ok(Vec::new()),
            Value::Map(entries) => entries,
            _ => return Err(MessageError::Kind(key)),
        };
        let entries = entries.iter().map(|(name, value)| match value {
            Value::Text(value) | Value::Binary(value) => Ok((name.to_vec(), value.to_vec())),
            _ => Err(MessageError::Kind(key)),
        });
        entries.collect()
    }

    /// The list of texts under a key; empty without one.
    pub fn text_list(&self, key: &'static str) -> Result<Vec<Vec<u8>>, MessageError> {
        let items = match self.get(key) {
            Value::Nil => return Ok(Vec::new()),
            Value::List(items) => items,
            _ => return Err(MessageError::Kind(key)),
        };
        let items = items.iter().map(|item| match item {
            Value::Text(item) | Value::Binary(item) => Ok(item.to_vec()),
            _ => Err(MessageError::Kind(key)),
        });
        items.collect()
    }
}
