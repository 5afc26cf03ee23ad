//! Frames: a length of four bytes, and a message.

use std::borrow::Cow;

use super::value::{MessageError, Value};
use super::{json, msgpack};

/// Bytes of the longest message, in both directions.
pub const FRAME_MAX: usize = 1024 * 1024;

/// Bytes of a length.
pub const LENGTH_BYTES: usize = 4;

/// The encoding of messages, which a plugin chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// MessagePack.
    #[default]
    MessagePack,
    /// JSON.
    Json,
}

/// The hooks, with their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A request, before its rule acts.
    Request = 1,
    /// The head of a response.
    Response = 2,
    /// A connection, before it is passed on.
    Connect = 3,
    /// The end of an exchange. It has no answer.
    Disconnect = 4,
}

impl Hook {
    /// All of them, by number.
    pub const ALL: [Self; 4] = [Self::Request, Self::Response, Self::Connect, Self::Disconnect];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "on_request",
            Self::Response => "on_response",
            Self::Connect => "on_connect",
            Self::Disconnect => "on_disconnect",
        }
    }

    /// The bit in a set of hooks.
    pub(in crate::plugin) fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

impl Encoding {
    /// The encoding with this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "" | "msgpack" => Some(Self::MessagePack),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Writes a message.
    pub fn write(self, value: &Value<'_>, out: &mut Vec<u8>) {
        match self {
            Self::MessagePack => msgpack::write(value, out),
            Self::Json => json::write(value, out),
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// It is none.
    pub fn read(self, bytes: &[u8]) -> Result<Value<'_>, MessageError> {
        match self {
            Self::MessagePack => msgpack::read(bytes),
            Self::Json => json::read(bytes),
        }
    }

    /// The frame of a call. MessagePack has the message in a binary of its own, and JSON has it as it is.
    ///
    /// # Errors
    /// It is longer than a frame.
    pub fn call(self, hook: Hook, message: &Value<'_>) -> Result<Vec<u8>, MessageError> {
        let inner = match self {
            Self::MessagePack => {
                let mut bytes = Vec::new();
                msgpack::write(message, &mut bytes);
                Value::Binary(Cow::Owned(bytes))
            }
            Self::Json => message.clone(),
        };
        let entries =
            vec![(Cow::Borrowed(&b"t"[..]), Value::Byte(hook as u8)), (Cow::Borrowed(&b"d"[..]), inner)];
        let mut out = vec![0; LENGTH_BYTES];
        self.write(&Value::Map(entries), &mut out);
        let length = out.len() - LENGTH_BYTES;
        if length > FRAME_MAX {
            return Err(MessageError::TooLarge);
        }
        out[..LENGTH_BYTES].copy_from_slice(&(length as u32).to_be_bytes());
        Ok(out)
    }
}

/// The length of the message of a frame, whose first bytes these are. `None`: there are too few.
///
/// # Errors
/// It is longer than a message may be.
pub fn frame_length(bytes: &[u8]) -> Result<Option<usize>, MessageError> {
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if length > FRAME_MAX { Err(MessageError::TooLarge) } else { Ok(Some(length)) }
}
