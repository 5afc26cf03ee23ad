//! The access key that signs requests: from the configuration, from the environment, or from the container's endpoint.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::config::plan::Secret;
use crate::files;
use crate::http::Method;
use crate::net::{Client, Request, Url};

/// The time for which an access key of a container is used. The endpoint changes it long before it ends.
const KEPT: Duration = Duration::from_secs(300);

/// The server of `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`.
const CONTAINER: &str = "http://169.254.170.2";

/// Bytes of the largest token in a file.
const TOKEN_BYTES_MAX: usize = 64 << 10;

/// An access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Arc<str>,
    pub(super) secret: Secret,
    /// The token of a session.
    pub(super) token: Option<Secret>,
}

/// The place from which the access key comes.
pub(super) struct Credentials {
    configured: Option<Login>,
    /// That of a container, and when it was asked for.
    asked: Mutex<Option<(Login, Instant)>>,
}

impl Credentials {
    pub(super) fn new(configured: Option<&(Arc<str>, Secret)>) -> Self {
        let login = |(user, secret): &(Arc<str>, Secret)| Login {
            user: user.clone(),
            secret: secret.clone(),
            token: None,
        };
        Self { configured: configured.map(login), asked: Mutex::default() }
    }

    /// The access key. Blocks.
    pub(super) fn login(&self, client: &Client) -> Result<Login> {
        if let Some(login) = self.configured.clone().or_else(|| of_environment(variable)) {
            return Ok(login);
        }
        let Some(url) = container(variable) else {
            let why = "there is no access key: write `access_key_id` and `secret_access_key` of `s3`, or set \
                AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
            return Err(Error::new(ErrorKind::PermissionDenied, why));
        };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((login, at)) = &*asked
            && at.elapsed() < KEPT
        {
            return Ok(login.clone());
        }
        let login = ask(client, &url)?;
        *asked = Some((login.clone(), Instant::now()));
        Ok(login)
    }

    /// Forgets the access key of a container, which the server has refused.
    pub(super) fn forget(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A variable of the environment that is not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// The access key of the environment.
fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Option<Login> {
    let secret = Secret(variable("AWS_SECRET_ACCESS_KEY")?.into());
    let token = variable("AWS_SESSION_TOKEN").map(|token| Secret(token.into()));
    Some(Login { user: variable("AWS_ACCESS_KEY_ID")?.into(), secret, token })
}

/// The URL that a container asks for its access key.
fn container(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let relative =
        variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("{CONTAINER}{path}"));
    relative.or_else(|| variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
}

/// The answer of the endpoint.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
}

fn ask(client: &Client, url: &str) -> Result<Login> {
    let failed =
        |why: &str| Error::other(format!("the container's endpoint gives no access key: {url} {why}"));
    let token = match variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(path) => Some(files::read_text(Path::new(&path), TOKEN_BYTES_MAX)?.trim().to_owned()),
        None => variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    };
    let parsed = Url::parse_any(url).map_err(failed)?;
    let fields: Vec<(&str, &str)> = token.iter().map(|token| ("Authorization", &**token)).collect();
    let request = Request { method: Method::Get, url: &parsed, fields: &fields, body: None };
    let answer = smol::block_on(client.send(request));
    let answer = answer.map_err(|error| failed(&format!("does not answer: {error}")))?;
    if answer.status != 200 {
        return Err(failed(&format!("answers with the status {}", answer.status)));
    }
    let told: Told =
        serde_json::from_slice(&answer.body).map_err(|_| failed("answers with no access key"))?;
    let token = told.token.map(|token| Secret(token.into()));
    Ok(Login { user: told.access_key_id.into(), secret: Secret(told.secret_access_key.into()), token })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(set: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        |name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn an_access_key_of_the_environment_may_have_a_token() {
        let both = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
        let login = of_environment(variables(Box::leak(Box::new(both)))).unwrap();
        assert_eq!((&*login.user, &*login.secret.0, login.token), ("a", "b", None));
        let all = [both[0], both[1], ("AWS_SESSION_TOKEN", "c")];
        let login = of_environment(variables(Box::leak(Box::new(all)))).unwrap();
        assert_eq!(login.token, Some(Secret("c".into())));
        assert_eq!(of_environment(variables(&[("AWS_ACCESS_KEY_ID", "a")])), None);
        assert!(!format!("{login:?}").contains("\"b\""), "{login:?}");
    }

    #[test]
    fn the_endpoint_of_a_container_is_a_path_or_a_url() {
        let relative = variables(&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x")]);
        assert_eq!(container(relative).as_deref(), Some("http://169.254.170.2/v2/x"));
        let full =
            variables(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials")]);
        assert_eq!(container(full).as_deref(), Some("http://169.254.170.23/v1/credentials"));
        assert_eq!(container(variables(&[])), None);
    }
}
