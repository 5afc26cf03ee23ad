//! Objects of a bucket: requests, signed, and their answers.

use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::answers::page;
use super::credentials::{Credentials, Login};
use super::refusal::{code, refusal};
use super::sign::{Signed, Signer, query, sha256};
use crate::config::plan::{Bucket, UpstreamTls};
use crate::http::Method;
use crate::log::clock::Utc;
use crate::net::{Answer, Client, Request, Url};
use crate::store::shared::values::{Changed, Expect, Values, Version};
use crate::tls::Connector;

/// Keys in a part of a list. An answer has some 400 bytes for each, and a response has 1 MiB at most.
const PAGE: &str = "1000";
/// Parts of the longest list.
const PAGES_MAX: usize = 100;

/// A bucket.
pub(in crate::store::shared) struct S3 {
    bucket: Arc<Bucket>,
    credentials: Credentials,
    client: OnceLock<Client>,
}

/// A request: its method, its path in the bucket, its query, its fields and its body.
struct Wish<'a> {
    method: Method,
    key: &'a str,
    query: &'a [(&'a str, &'a str)],
    fields: &'a [(&'a str, &'a str)],
    body: Option<&'a [u8]>,
}

impl S3 {
    /// Asks nothing yet.
    pub(in crate::store::shared) fn new(bucket: &Arc<Bucket>) -> Self {
        let credentials = Credentials::new(bucket.login.as_ref());
        Self { bucket: bucket.clone(), credentials, client: OnceLock::new() }
    }

    /// The client, which reads the authorities at its first use.
    fn client(&self) -> Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let connector =
            Connector::new(&UpstreamTls { ca: self.bucket.root.clone(), ..UpstreamTls::default() });
        let connector = connector.map_err(|error| {
            let text = error.to_string().replace("`tls.ca`", "`root` of `s3`");
            Error::new(ErrorKind::NotFound, text)
        })?;
        Ok(self.client.get_or_init(|| Client::new(connector.client_config())))
    }

    /// Sends a request. Any status is an answer.
    fn send(&self, wish: &Wish<'_>) -> Result<(Answer, Login)> {
        let client = self.client()?;
        let login = self.credentials.login(client)?;
        let endpoint = self.bucket.endpoint();
        let (query, name) = (query(wish.query), &self.bucket.name);
        let mark = if query.is_empty() { "" } else { "?" };
        let url = format!("{endpoint}/{name}/{}{mark}{query}", wish.key);
        let unusable = |why| Error::new(ErrorKind::NotFound, format!("`endpoint` of `s3` {why}"));
        let url = Url::parse_any(&url).map_err(unusable)?;
        let (authority, digest) = (url.authority(), sha256(wish.body.unwrap_or_default()));
        let time = compact(SystemTime::now());
        let mut fields =
            vec![("host", &*authority), ("x-amz-content-sha256", &digest), ("x-amz-date", &time)];
        fields.extend(login.token.iter().map(|token| ("x-amz-security-token", &*token.0)));
        fields.extend(wish.fields);
        let signer = Signer {
            user: &login.user,
            secret: &login.secret.0,
            region: &self.bucket.region,
            service: "s3",
            time: &time,
        };
        let authorization = signer.authorization(&Signed {
            method: wish.method.label(),
            path: url.target().split('?').next().unwrap_or_default(),
            query: wish.query,
            fields: &fields,
            digest: &digest,
        });
        // The client writes `Host` by itself.
        fields[0] = ("authorization", &authorization);
        let body = wish.body.map(|body| ("application/octet-stream", body));
        let request = Request { method: wish.method, url: &url, fields: &fields, body };
        let answer = smol::block_on(client.send(request));
        let answer = answer.map_err(|error| Error::other(format!("{endpoint} does not answer: {error}")))?;
        Ok((answer, login))
    }

    /// The error for an answer that is no success.
    fn refused(&self, (answer, login): &(Answer, Login)) -> Error {
        if matches!(answer.status, 400 | 401 | 403) {
            self.credentials.forget();
        }
        refusal(&self.bucket, &login.user, answer)
    }

    /// The key of an object.
    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.bucket.prefix)
    }

    /// The version in an answer.
    fn version(&self, answer: &Answer) -> Result<Version> {
        let none = || {
            let text = format!("{} sends no ETag, so gates cannot share it", self.bucket.endpoint());
            Error::new(ErrorKind::Unsupported, text)
        };
        answer.field("etag").map(|etag| Version(etag.into())).ok_or_else(none)
    }
}

impl Values for S3 {
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>> {
        let key = self.key(key);
        let sent =
            self.send(&Wish { method: Method::Get, key: &key, query: &[], fields: &[], body: None })?;
        match sent.0.status {
            200 => {
                let version = self.version(&sent.0)?;
                Ok(Some((sent.0.body, version)))
            }
            404 if code(&sent.0) != "NoSuchBucket" => Ok(None),
            _ => Err(self.refused(&sent)),
        }
    }

    fn put(
        &self,
        key: &str,
        value: &[u8],
        found: Expect<'_>,
    ) -> Result<std::result::Result<Version, Changed>> {
        let condition = match found {
            Expect::Absent => ("if-none-match", "*"),
            Expect::At(version) => ("if-match", &*version.0),
        };
        let (key, fields) = (self.key(key), [condition]);
        let wish = Wish { method: Method::Put, key: &key, query: &[], fields: &fields, body: Some(value) };
        let sent = self.send(&wish)?;
        match sent.0.status {
            200 | 201 | 204 => self.version(&sent.0).map(Ok),
            412 => Ok(Err(Changed)),
            404 if code(&sent.0) != "NoSuchBucket" => Ok(Err(Changed)),
            // Two writes at once: the next look tells which one came first.
            409 => Err(Error::other("another write of the same object was under way")),
            _ => Err(self.refused(&sent)),
        }
    }

    fn delete(&self, key: &str) -> Result<()> {
        let key = self.key(key);
        let sent =
            self.send(&Wish { method: Method::Delete, key: &key, query: &[], fields: &[], body: None })?;
        match sent.0.status {
            200 | 202 | 204 => Ok(()),
            404 if code(&sent.0) != "NoSuchBucket" => Ok(()),
            _ => Err(self.refused(&sent)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<(String, Version)>> {
        let (prefix, mut all, mut next) = (self.key(prefix), Vec::new(), None::<String>);
        for _ in 0..PAGES_MAX {
            let mut query = vec![("list-type", "2"), ("max-keys", PAGE), ("prefix", &*prefix)];
            query.extend(next.as_deref().map(|token| ("continuation-token", token)));
            let sent =
                self.send(&Wish { method: Method::Get, key: "", query: &query, fields: &[], body: None })?;
            if sent.0.status != 200 {
                return Err(self.refused(&sent));
            }
            let none = || Error::other(format!("{} answers with no list", self.bucket.endpoint()));
            let page = page(&sent.0.body).ok_or_else(none)?;
            let own = |(key, version): (String, Version)| {
                Some((key.strip_prefix(&*self.bucket.prefix)?.to_owned(), version))
            };
            all.extend(page.keys.into_iter().filter_map(own));
            next = page.next;
            if next.is_none() {
                return Ok(all);
            }
        }
        Err(Error::other("the list has no end"))
    }
}

/// A time as signatures have it: `20130524T000000Z`.
fn compact(time: SystemTime) -> String {
    let text = Utc::from(time).to_string();
    let seconds = text.split('.').next().unwrap_or_default();
    seconds.chars().filter(|char| !matches!(char, '-' | ':')).chain(['Z']).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_time_is_written_without_marks() {
        assert_eq!(compact(UNIX_EPOCH + Duration::from_millis(1_369_353_600_250)), "20130524T000000Z");
    }
}
