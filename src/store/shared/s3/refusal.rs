//! Refusals of the server, in words that say what to do.

use std::io::{Error, ErrorKind};
use std::time::{Duration, SystemTime};

use super::answers::text;
use crate::config::plan::Bucket;
use crate::net::Answer;

/// A difference of clocks from here on is told.
const SKEW_TOLD: Duration = Duration::from_secs(60);

/// The code in an answer. Empty if there is none.
pub(super) fn code(answer: &Answer) -> String {
    let body = String::from_utf8_lossy(&answer.body);
    text(&body, "Code").unwrap_or_default()
}

/// The error for an answer that is no success. `user` is the access key. Errors that last have the kind `PermissionDenied`,
/// `NotFound` or `Unsupported`.
pub(super) fn refusal(bucket: &Bucket, user: &str, answer: &Answer) -> Error {
    let code = code(answer);
    let (name, server) = (&bucket.name, bucket.endpoint());
    let (kind, text) = match (&*code, answer.status) {
        ("NoSuchBucket", _) => (
            ErrorKind::NotFound,
            format!("the bucket {name} does not exist at {server}: make it, or mend `bucket` or `region`"),
        ),
        ("RequestTimeTooSkewed" | "RequestExpired", _) => {
            (ErrorKind::PermissionDenied, skewed(&server, answer.field("date")))
        }
        ("InvalidAccessKeyId", _) => {
            (ErrorKind::PermissionDenied, format!("{server} does not know the access key {user}"))
        }
        ("SignatureDoesNotMatch", _) => (
            ErrorKind::PermissionDenied,
            format!(
                "{server} refuses the signature: the secret of the access key {user} is not the right one"
            ),
        ),
        ("ExpiredToken" | "InvalidToken", _) => (
            ErrorKind::PermissionDenied,
            format!("{server} says that the session of the access key {user} is over"),
        ),
        ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "TemporaryRedirect", _) | (_, 301 | 307) => {
            (ErrorKind::PermissionDenied, elsewhere(bucket, answer))
        }
        ("NotImplemented", _) | (_, 501) => (
            ErrorKind::Unsupported,
            format!("{server} does not know conditions of writes, so gates cannot share it"),
        ),
        ("AccessDenied", _) | (_, 401 | 403) => (
            ErrorKind::PermissionDenied,
            format!(
                "{server} denies access to the bucket {name}: the access key {user} needs the rights to list, get, put and delete"
            ),
        ),
        (_, status) => (ErrorKind::Other, format!("{server} answers with the status {status} {code}")),
    };
    Error::new(kind, text.trim_end())
}

/// Says by how much the clocks differ.
fn skewed(server: &str, date: Option<&str>) -> String {
    let theirs = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let now = SystemTime::now();
    let told = theirs.map(|theirs| match theirs.duration_since(now) {
        Ok(behind) => (behind, "behind"),
        Err(ahead) => (ahead.duration(), "ahead of"),
    });
    match told.filter(|(by, _)| *by >= SKEW_TOLD) {
        Some((by, side)) => {
            let minutes = by.as_secs() / 60;
            format!(
                "the clock here is {minutes} min {side} that of {server}, which refuses requests: set the clock"
            )
        }
        None => format!("{server} refuses requests because its clock and the one here differ: set the clock"),
    }
}

/// Says in which region the bucket is.
fn elsewhere(bucket: &Bucket, answer: &Answer) -> String {
    let body = String::from_utf8_lossy(&answer.body);
    let (name, region) = (&bucket.name, &bucket.region);
    match text(&body, "Region").or_else(|| answer.field("x-amz-bucket-region").map(str::to_owned)) {
        Some(other) => {
            format!("the bucket {name} is in the region {other}, and not in {region}: mend `region`")
        }
        None => format!("the bucket {name} is not in the region {region}: mend `region` or `endpoint`"),
    }
}
