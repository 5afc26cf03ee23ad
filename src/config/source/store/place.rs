//! The two places.

use std::sync::Arc;
use std::time::Duration;

use super::bucket::{bucket, keys};
use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::Spanned;
use crate::config::plan::{Bucket, LEASE, StorePlace};
use crate::config::syntax::{Node, Value};
use crate::config::values::{ValueError, scalar};

/// The shortest and the longest lease. A shorter one asks the server often; a longer one delays the next gate.
const LEASES: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(600)];

/// `store: {path}`, `store: {s3, key, lease}`, or a path.
pub(in crate::config::source) fn store(decoder: &mut Decoder<'_>, node: Node) -> Option<Spanned<StorePlace>> {
    if !matches!(node.value, Value::Map(_)) {
        return folder(decoder, node);
    }
    let mut fields = MappingReader::open(decoder, node, "`store`")?;
    let span = fields.span;
    match (fields.at("path"), fields.at("s3")) {
        (None, None) => {
            let message = "`store` needs `path`, a folder, or `s3`, a bucket".to_owned();
            fields.missing(&["path"], message, "write for example `store: /var/lib/smolgate`");
        }
        (_, None) => fields.not_here(&["key", "lease"], "means nothing for a folder", "leave it out"),
        (Some(_), Some(_)) => {
            fields.not_here(&["path"], "and `s3` are two places", "leave one of them out");
        }
        (None, Some(_)) => fields.require(&["key"]),
    }
    let path = fields.field("path", folder);
    let s3 = fields.field("s3", bucket);
    let keys = fields.field("key", |decoder, node| Some(keys(decoder, node)));
    let lease = fields.parsed("lease", lease).map_or(LEASE, |lease| lease.value);
    fields.close();
    let bucket = |s3| Bucket { keys: keys.unwrap_or_default(), lease, ..s3 };
    let s3 = s3.map(|s3| StorePlace::Bucket(Arc::new(bucket(s3))));
    Some(Spanned { value: s3.or(path.map(|path| path.value))?, span })
}

/// A path. Text that looks like a URL is an error.
fn folder(decoder: &mut Decoder<'_>, node: Node) -> Option<Spanned<StorePlace>> {
    if let Value::Scalar(text) = &node.value
        && let Some((scheme, rest)) = text.split_once("://")
    {
        let message = format!("certificates cannot be kept at a URL of {scheme}");
        let bucket = rest.split('/').next().filter(|_| scheme == "s3").unwrap_or("NAME");
        let hint = format!(
            "write the path of a folder, or `store: {{ s3: {{ bucket: {bucket} }}, key: \"${{file:/run/secrets/store_key}}\" }}`"
        );
        decoder.report.error_hint(node.span, message, hint);
        return None;
    }
    let path = decoder.path(node)?;
    Some(Spanned { value: StorePlace::Folder(path.value), span: path.span })
}

fn lease(text: &str) -> Result<Duration, ValueError> {
    let lease = scalar::timeout(text)?;
    match (LEASES[0]..=LEASES[1]).contains(&lease) {
        true => Ok(lease),
        false => Err(ValueError::hint("is no lease", "write a time from 3s to 10m")),
    }
}
