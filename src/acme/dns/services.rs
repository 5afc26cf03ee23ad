//! Servers that write records, asked over HTTP: httpreq, acme-dns and Cloudflare.

use std::sync::Arc;

use serde_json::{Value, json};

use super::record::Published;
use crate::acme::protocol::base64;
use crate::config::plan::Secret;
use crate::http::Method;
use crate::net::{Client, Request, Url};

/// Characters of an error that are kept.
const ERROR_MAX: usize = 200;
/// Seconds that others may keep a record. Cloudflare takes no less.
const TTL: u32 = 60;

type Login = (Arc<str>, Secret);

/// A server with lego's protocol of that name.
pub(super) struct HttpReq<'a> {
    pub(super) client: &'a Client,
    pub(super) url: &'a str,
    pub(super) login: &'a Option<Login>,
}

impl HttpReq<'_> {
    pub(super) async fn change(&self, record: &Published, adds: bool) -> Result<(), String> {
        let login = self
            .login
            .as_ref()
            .map(|(user, password)| format!("Basic {}", base64::standard(format!("{user}:{}", password.0))));
        let fields: Vec<_> = login.iter().map(|login| ("Authorization", &**login)).collect();
        let url = format!("{}/{}", self.url.trim_end_matches('/'), if adds { "present" } else { "cleanup" });
        let body = json!({ "fqdn": format!("{}.", record.name), "value": record.value });
        call(self.client, Method::Post, &url, &fields, Some(&body)).await.map(drop)
    }
}

/// An acme-dns server. It keeps the last two texts of a name, so nothing is removed.
pub(super) struct AcmeDns<'a> {
    pub(super) client: &'a Client,
    pub(super) url: &'a str,
    pub(super) login: &'a Login,
    pub(super) subdomain: &'a str,
}

impl AcmeDns<'_> {
    pub(super) async fn change(&self, record: &Published, adds: bool) -> Result<(), String> {
        if !adds {
            return Ok(());
        }
        let (user, key) = self.login;
        let url = format!("{}/update", self.url.trim_end_matches('/'));
        let body = json!({ "subdomain": self.subdomain, "txt": record.value });
        let fields = [("X-Api-User", &**user), ("X-Api-Key", &*key.0)];
        call(self.client, Method::Post, &url, &fields, Some(&body)).await.map(drop)
    }
}

/// Cloudflare's API, version 4.
pub(super) struct Cloudflare<'a> {
    pub(super) client: &'a Client,
    pub(super) url: &'a str,
    pub(super) token: &'a Secret,
}

impl Cloudflare<'_> {
    pub(super) async fn change(&self, record: &Published, adds: bool) -> Result<(), String> {
        let zone = self.zone(&record.name).await?;
        let records = format!("zones/{zone}/dns_records");
        let found = self.call(Method::Get, &format!("{records}?type=TXT&name={}", record.name), None).await?;
        let is_it =
            |one: &&Value| one["content"].as_str().is_some_and(|text| text.trim_matches('"') == record.value);
        let known = found["result"].as_array().into_iter().flatten().find(is_it).map(|one| &one["id"]);
        match (known.and_then(Value::as_str), adds) {
            (None, true) => {
                let content = format!("\"{}\"", record.value);
                let new = json!({ "type": "TXT", "name": record.name, "content": content, "ttl": TTL });
                self.call(Method::Post, &records, Some(&new)).await.map(drop)
            }
            (Some(id), false) => {
                self.call(Method::Delete, &format!("{records}/{}", plain(id)?), None).await.map(drop)
            }
            (None, false) | (Some(_), true) => Ok(()),
        }
    }

    /// The identifier of the zone that a name is in.
    async fn zone(&self, name: &str) -> Result<String, String> {
        let mut at = name;
        while let Some((_, parent)) = at.split_once('.') {
            let found = self.call(Method::Get, &format!("zones?name={parent}"), None).await?;
            if let Some(id) = found["result"][0]["id"].as_str() {
                return plain(id).map(str::to_owned);
            }
            at = parent;
        }
        Err(format!("the token sees no zone of {name}"))
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let bearer = format!("Bearer {}", self.token.0);
        let url = format!("{}/{path}", self.url.trim_end_matches('/'));
        call(self.client, method, &url, &[("Authorization", &bearer)], body).await
    }
}

/// An identifier that may stand in a path.
fn plain(id: &str) -> Result<&str, String> {
    let is_plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_plain { Ok(id) } else { Err("the server sent an identifier that is none".to_owned()) }
}

/// Sends a request that has to succeed. Returns the JSON of its answer, null if there is none.
async fn call(
    client: &Client,
    method: Method,
    url: &str,
    fields: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<Value, String> {
    let url = Url::parse(url).map_err(|why| format!("{url} {why}"))?;
    let body = body.map(Value::to_string);
    let body = body.as_ref().map(|body| ("application/json", body.as_bytes()));
    let answer = client.send(Request { method, url: &url, fields, body }).await;
    let answer = answer.map_err(|error| format!("{} does not answer: {error}", url.authority()))?;
    if (200..300).contains(&answer.status) {
        return Ok(serde_json::from_slice(&answer.body).unwrap_or_default());
    }
    let said = String::from_utf8_lossy(&answer.body);
    let clean = |char: char| if char.is_control() { ' ' } else { char };
    let said: String = said.chars().take(ERROR_MAX).map(clean).collect();
    Err(format!("{} answered {}: {}", url.authority(), answer.status, said.trim()))
}
