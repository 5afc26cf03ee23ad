//! The keys of the store, as those of `keys`.

use super::keys::Row;

/// A key that seals values.
macro_rules! key {
    () => {
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    };
}

/// A store in a bucket, with these keys besides.
macro_rules! bucket {
    ($more:literal) => {
        concat!("s3: { bucket: a }, key: ", key!(), $more)
    };
}

pub(super) const STORE: &[Row] = &[
    ("path", "path: /a", "path: /b"),
    ("s3", "path: /a", bucket!("")),
    ("key", bucket!(""), concat!("s3: { bucket: a }, key: [", key!(), ", ", key!(), "]")),
    ("lease", bucket!(""), bucket!(", lease: 10s")),
];

/// The configuration around the keys of `s3`.
pub(super) const IN_S3: &str =
    concat!("{ acme: { accept_terms: true }, store: { s3: { @ }, key: ", key!(), " } }");

pub(super) const STORE_S3: &[Row] = &[
    ("bucket", "bucket: a", "bucket: b"),
    ("endpoint", "bucket: a", "bucket: a, endpoint: \"http://minio:9000\""),
    ("region", "bucket: a", "bucket: a, region: eu-central-1"),
    ("prefix", "bucket: a", "bucket: a, prefix: b"),
    ("access_key_id", "bucket: a", "bucket: a, access_key_id: b, secret_access_key: c"),
    ("secret_access_key", "bucket: a", "bucket: a, access_key_id: b, secret_access_key: c"),
    ("root", "bucket: a", "bucket: a, root: b.pem"),
];
