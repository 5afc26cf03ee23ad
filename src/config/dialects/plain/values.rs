//! Values that several dialects write alike.

use std::time::Duration;

use ipnet::IpNet;

use crate::config::decode::MappingReader;
use crate::config::values::{ValueError, networks, scalar};

/// A whole number of seconds, without a unit.
pub(in crate::config::dialects) fn seconds(text: &str) -> Result<Duration, ValueError> {
    const FORM: ValueError =
        ValueError::hint("is not a number of seconds", "write a whole number without a unit, such as 30");
    match text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        true => scalar::duration(text),
        false => Err(FORM),
    }
}

/// A number of seconds that is not zero.
pub(in crate::config::dialects) fn some_seconds(text: &str) -> Result<Duration, ValueError> {
    match seconds(text)? {
        Duration::ZERO => Err(ValueError::hint("is no time at all", "leave the key out for the usual time")),
        time => Ok(time),
    }
}

/// A text as JSON writes it.
pub(in crate::config::dialects) fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// One or many addresses, networks or names of networks.
pub(in crate::config::dialects) fn networks(
    fields: &mut MappingReader<'_, '_>,
    name: &'static str,
) -> Vec<IpNet> {
    let networks = fields.field(name, |decoder, node| Some(decoder.parsed_many(node, networks::networks)));
    networks.into_iter().flatten().flat_map(|networks| networks.value).collect()
}
