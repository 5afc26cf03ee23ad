//! The fetching of keys that verify tokens.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_lite::FutureExt;
use smol::{Task, Timer};

use crate::config::plan::UpstreamTls;
use crate::generation::Generation;
use crate::http::Method;
use crate::jwt::{FetchedKeys, KeySet};
use crate::net::{Answer, Client, Request, Url};
use crate::tls::Connector;

/// The time until the next fetch, if the server says nothing about it.
const AGAIN: Duration = Duration::from_secs(15 * 60);
/// The bounds of what a server may say.
const AGAIN_MIN: Duration = Duration::from_secs(60);
const AGAIN_MAX: Duration = Duration::from_secs(24 * 3_600);
/// The time until the next fetch after one that failed. It is doubled with each.
const RETRY: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(5 * 60);

/// The keys that a gate fetches. Each set has a task.
#[derive(Default)]
pub(in crate::gate) struct KeyService(Mutex<Tasks>);

type Tasks = HashMap<Arc<str>, (Arc<FetchedKeys>, Task<()>)>;

impl KeyService {
    /// No keys yet.
    pub(in crate::gate) fn new() -> Self {
        Self::default()
    }

    /// Fetches the keys of a generation from now on, and no others.
    pub(in crate::gate) fn follow(&self, generation: &Generation) {
        let mut tasks = self.tasks();
        let mut before = std::mem::take(&mut *tasks);
        for keys in generation.key_sets.iter() {
            let known = before.remove(keys.url()).filter(|(known, _)| Arc::ptr_eq(known, keys));
            let task = known.unwrap_or_else(|| (keys.clone(), smol::spawn(keep(keys.clone()))));
            tasks.insert(keys.url().clone(), task);
        }
    }

    /// Fetches no keys any more.
    pub(in crate::gate) fn stop(&self) {
        self.tasks().clear();
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fetches a set of keys again and again, and when a request asks.
async fn keep(keys: Arc<FetchedKeys>) {
    let mut retry = RETRY;
    let mut client = None;
    loop {
        keys.begin();
        let asked = keys.asked();
        let pause = match fetch(&keys, &mut client).await {
            Ok((set, again)) => {
                keys.end(Some(set), Instant::now());
                retry = RETRY;
                again
            }
            Err(error) => {
                keys.end(None, Instant::now());
                tracing::warn!(url = shown(&keys), %error, "the keys of tokens cannot be fetched");
                let pause = retry;
                retry = (retry * 2).min(RETRY_MAX);
                pause
            }
        };
        let late = async {
            Timer::after(pause).await;
        };
        late.or(asked).await;
    }
}

/// The URL without its query, which may hold a secret.
fn shown(keys: &FetchedKeys) -> &str {
    keys.url().split('?').next().unwrap_or_default()
}

/// Fetches a set of keys once. The result is also the time until the next fetch.
async fn fetch(keys: &FetchedKeys, client: &mut Option<Client>) -> io::Result<(KeySet, Duration)> {
    let url = Url::parse_any(keys.url()).map_err(|why| invalid(&format!("the URL {why}")))?;
    if client.is_none() {
        let is_tls = url.is_tls();
        *client = Some(smol::unblock(move || new_client(is_tls)).await?);
    }
    let Some(client) = client else { return Err(invalid("there is no client")) };
    let accept = [("Accept-Encoding", "identity")];
    let request = Request { method: Method::Get, url: &url, fields: &accept, body: None };
    let answer = client.send(request).await?;
    if answer.status != 200 {
        return Err(invalid(&format!("the server answered {}", answer.status)));
    }
    let again = again(&answer);
    let set = smol::unblock(move || KeySet::of_text(&answer.body)).await;
    let set = set.map_err(|error| invalid(&format!("the answer {}", error.problem)))?;
    Ok((set, again))
}

/// A client that trusts the authorities of the system. Blocks. Without TLS there need not be any.
fn new_client(is_tls: bool) -> io::Result<Client> {
    let tls = UpstreamTls { insecure_skip_verify: !is_tls, ..UpstreamTls::default() };
    let connector = Connector::new(&tls).map_err(|error| invalid(&error.to_string()))?;
    Ok(Client::new(connector.client_config()))
}

fn again(answer: &Answer) -> Duration {
    let directives = answer.field("cache-control").unwrap_or_default().split(',');
    let age =
        directives.filter_map(|directive| directive.trim().strip_prefix("max-age=")?.parse().ok()).next();
    age.map_or(AGAIN, Duration::from_secs).clamp(AGAIN_MIN, AGAIN_MAX)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
