//! `s3` of `store`, and the keys that seal its values.

use std::sync::Arc;

use crate::config::decode::{Decoder, MappingReader};
use crate::config::plan::{Bucket, LEASE, REGION, Secret};
use crate::config::syntax::{Node, mask_secret};
use crate::config::values::ValueError;

/// `{bucket, endpoint, region, prefix, access_key_id, secret_access_key, root}`. The keys that seal stand beside it.
pub(super) fn bucket(decoder: &mut Decoder<'_>, node: Node) -> Option<Bucket> {
    let mut fields = MappingReader::open(decoder, node, "`s3` of `store`")?;
    fields.require(&["bucket"]);
    let name = fields.parsed("bucket", name).map(|name| name.value);
    let endpoint = fields.parsed("endpoint", endpoint).map(|endpoint| endpoint.value);
    let region = fields.parsed("region", region).map_or_else(|| REGION.into(), |region| region.value);
    let prefix = fields.parsed("prefix", prefix).map_or_else(Arc::default, |prefix| prefix.value);
    if fields.at("access_key_id").is_some() != fields.at("secret_access_key").is_some() {
        let message = "`access_key_id` and `secret_access_key` belong together";
        let hint = "name both, or none: then those of the environment are taken";
        fields.missing(&["access_key_id"], message.to_owned(), hint);
        fields.missing(&["secret_access_key"], message.to_owned(), hint);
    }
    let user = fields.parsed("access_key_id", word).map(|user| user.value);
    let secret = fields.field("secret_access_key", |decoder, node| {
        let is_sound = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        secret(decoder, node, is_sound, "this secret is empty or not ASCII")
    });
    let root = fields.field("root", Decoder::path).map(|root| root.value);
    fields.close();
    let (login, keys, lease) = (user.zip(secret), Vec::new(), LEASE);
    Some(Bucket { endpoint, name: name?, prefix, region, login, root, keys, lease })
}

/// One key, or several.
pub(crate) fn keys(decoder: &mut Decoder<'_>, node: Node) -> Vec<Secret> {
    mask_secret(&node, decoder.report);
    let message = "a key is 32 random bytes in base64, as `openssl rand -base64 32` prints them";
    let read = |decoder: &mut Decoder<'_>, node: Node| secret(decoder, node, is_key, message);
    decoder.one_or_many(node, read)
}

/// Whether a text is 32 bytes in base64, in one of its alphabets. A view has the word `redacted` in the place of a key; nothing
/// can be sealed with it.
fn is_key(text: &str) -> bool {
    if text == "redacted" {
        return true;
    }
    let digits = text.trim_end_matches('=');
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    digits.len() == 43 && digits.bytes().all(is_digit) && text.len() - digits.len() <= 1
}

/// The messages do not quote the secret.
fn secret(
    decoder: &mut Decoder<'_>,
    node: Node,
    is_sound: fn(&str) -> bool,
    message: &str,
) -> Option<Secret> {
    mask_secret(&node, decoder.report);
    let text = decoder.text(node)?;
    if !is_sound(text.text.trim_end()) {
        decoder.report.error(text.span, message);
        return None;
    }
    // A file with a secret often ends with a line end.
    Some(Secret(Arc::from(text.text.trim_end())))
}

/// The name of a bucket.
fn name(text: &str) -> Result<Arc<str>, ValueError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_name = (1..=255).contains(&text.len()) && text.bytes().all(is_plain) && !text.starts_with('.');
    is_name.then(|| text.into()).ok_or_else(|| {
        ValueError::hint(
            "is not the name of a bucket",
            "write the name alone; a folder in it is the `prefix`",
        )
    })
}

/// The URL of a server. Values are sealed and requests signed, so it may be `http://`.
fn endpoint(text: &str) -> Result<Arc<str>, ValueError> {
    let hint = "write the URL of the server, such as https://s3.example.com or http://minio:9000";
    let rest = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#@\\\"".contains(&byte);
    let is_url = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    match is_url && text.bytes().all(is_plain) {
        true => Ok(text.trim_end_matches('/').into()),
        false if text.contains("://") && rest.is_none() => {
            Err(ValueError::hint("has a scheme that S3 does not have", hint))
        }
        false => Err(ValueError::hint("is not a URL", hint)),
    }
}

fn region(text: &str) -> Result<Arc<str>, ValueError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match !text.is_empty() && text.bytes().all(is_plain) {
        true => Ok(text.into()),
        false => Err(ValueError::hint("is not a region", "write for example eu-central-1")),
    }
}

/// The beginning of all keys. It ends with a slash.
fn prefix(text: &str) -> Result<Arc<str>, ValueError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let text = text.trim_matches('/');
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(is_plain);
    match text.is_empty() || text.split('/').all(is_part) {
        true if text.is_empty() => Ok(Arc::default()),
        true => Ok(format!("{text}/").into()),
        false => {
            let hint = "write letters, digits, `-`, `.`, `_`, and slashes between them";
            Err(ValueError::hint("cannot begin keys", hint))
        }
    }
}

fn word(text: &str) -> Result<Arc<str>, ValueError> {
    match text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') && !text.is_empty() {
        true => Ok(text.into()),
        false => Err(ValueError::new("is not an access key")),
    }
}
