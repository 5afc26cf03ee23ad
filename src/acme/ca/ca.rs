//! A CA, and the account there: signed requests, nonces, problems.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use smol::lock::Semaphore;

use super::clock::Clock;
use crate::acme::failure::{Failure, FaultOf};
use crate::acme::protocol::ari::Window;
use crate::acme::protocol::base64;
use crate::acme::protocol::jws::{AccountKey, Signer};
use crate::acme::protocol::messages::{self, DirectoryUrls};
use crate::acme::protocol::problem::Problem;
use crate::config::plan::{CertificateAuthority, Orders};
use crate::http::Method;
use crate::net::{Answer, Client, Request, Url};
use crate::tls::address_of;

/// Requests that run at once.
const REQUESTS_MAX: usize = 8;
/// Times that a request is sent with a fresh nonce. A CA refuses some of its own nonces.
const NONCES_MAX: usize = 40;
/// Nonces that are kept for later requests.
const NONCES_KEPT: usize = 32;
/// The longest wait that is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// The profile of Let's Encrypt that addresses need.
pub(in crate::acme) const SHORT_LIVED: &str = "shortlived";

/// A CA.
pub(in crate::acme) struct Ca {
    client: Client,
    directory: String,
    pub(super) orders: Arc<Orders>,
    /// The index of the CA in `orders`.
    index: usize,
    pub(super) key: Mutex<Arc<AccountKey>>,
    /// A key that the account may have instead, because a change of the key was cut off.
    pub(super) candidate: Mutex<Option<Arc<AccountKey>>>,
    clock: Clock,
    /// The addresses, once they are known.
    directory_urls: smol::lock::Mutex<Option<Arc<DirectoryUrls>>>,
    /// The account, once it is known. Locked while they are asked for, so that a CA in trouble
    /// gets one request at a time.
    pub(super) session: smol::lock::Mutex<Option<Arc<Session>>>,
    pub(super) nonces: Mutex<HashSet<String>>,
    requests: Semaphore,
}

/// The facts that requests need.
pub(in crate::acme) struct Session {
    pub(in crate::acme) directory: Arc<DirectoryUrls>,
    /// The URL of the account.
    pub(in crate::acme) account: String,
}

impl Ca {
    /// The CA with this directory, which is that of `orders` or its test system.
    pub(in crate::acme) fn new(
        client: Client,
        (orders, index): (Arc<Orders>, usize),
        directory: &str,
        key: AccountKey,
        candidate: Option<AccountKey>,
    ) -> Self {
        Self {
            client,
            directory: directory.to_owned(),
            directory_urls: smol::lock::Mutex::new(None),
            orders,
            index,
            key: Mutex::new(Arc::new(key)),
            candidate: Mutex::new(candidate.map(Arc::new)),
            clock: Clock::default(),
            session: smol::lock::Mutex::new(None),
            nonces: Mutex::default(),
            requests: Semaphore::new(REQUESTS_MAX),
        }
    }

    /// The answer to a challenge with this token.
    pub(in crate::acme) fn key_authorization(&self, token: &str) -> String {
        self.key().key_authorization(token)
    }

    pub(super) fn key(&self) -> Arc<AccountKey> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn authority(&self) -> &CertificateAuthority {
        &self.orders.cas[self.index]
    }

    /// The directory and the account. The account is made if there is none.
    pub(in crate::acme) async fn session(&self) -> Result<Arc<Session>, Failure> {
        let mut session = self.session.lock().await;
        if let Some(session) = &*session {
            return Ok(session.clone());
        }
        let directory = self.directory().await?;
        let account = self.account(&directory).await?;
        let made = Arc::new(Session { directory, account });
        *session = Some(made.clone());
        Ok(made)
    }

    pub(in crate::acme) async fn directory(&self) -> Result<Arc<DirectoryUrls>, Failure> {
        let mut known = self.directory_urls.lock().await;
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let answer = self.send(Method::Get, &self.directory, None).await?;
        if answer.status != 200 {
            return Err(failure(&answer, FaultOf::Ca));
        }
        let read: DirectoryUrls = messages::read(&answer.body, "directory").map_err(Failure::of_ca)?;
        if let Some(profile) =
            self.authority().profile.as_deref().filter(|&one| !read.meta.profiles.contains_key(one))
        {
            let offered: Vec<&str> = read.meta.profiles.keys().map(|one| &**one).collect();
            let offered = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
            tracing::warn!(%profile, "the CA does not have this `profile`, so it is not asked for; it has: {offered}");
        }
        Ok(known.insert(Arc::new(read)).clone())
    }

    /// The profile that an order for the name asks for, if the CA has it.
    pub(in crate::acme) fn profile<'a>(&'a self, directory: &DirectoryUrls, name: &str) -> Option<&'a str> {
        let of_address = address_of(name).map(|_| SHORT_LIVED);
        let mut wanted = of_address.into_iter().chain(self.authority().profile.as_deref());
        wanted.find(|&profile| directory.meta.profiles.contains_key(profile))
    }

    /// The window in which the CA wants a certificate to be renewed. `None` if it tells no windows.
    pub(in crate::acme) async fn window(&self, id: &str, now: u64) -> Result<Option<Window>, Failure> {
        let directory = self.directory().await?;
        let Some(base) = &directory.renewal_info else { return Ok(None) };
        // The request is not signed (RFC 9773, section 4.1).
        let answer = self.send(Method::Get, &format!("{}/{id}", base.trim_end_matches('/')), None).await?;
        if answer.status != 200 {
            return Err(failure(&answer, FaultOf::Ca));
        }
        Window::read(id, &answer.body, now, retry_after(&answer)).map(Some).map_err(Failure::of_ca)
    }

    /// A request of the account that has to succeed. `None` as payload makes a POST-as-GET. A refusal is `of` this
    /// side's fault, if it is not the CA's.
    pub(in crate::acme) async fn post(
        &self,
        session: &Session,
        url: &str,
        payload: Option<&Value>,
        of: FaultOf,
    ) -> Result<Answer, Failure> {
        let signer = Signer::Account(&session.account);
        let answer = self.signed(&session.directory, &signer, url, payload).await?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        if Problem::read(answer.status, &answer.body).is_unknown_account() {
            // It is looked for, and made, by the next attempt.
            *self.session.lock().await = None;
            return Err(Failure::of_ca("the CA has forgotten the account"));
        }
        Err(failure(&answer, of))
    }

    /// Revokes a certificate. One that was revoked before is fine.
    pub(in crate::acme) async fn revoke(&self, session: &Session, certificate: &[u8]) -> Result<(), Failure> {
        let url = session.directory.revoke_cert.as_deref();
        let url = url.ok_or_else(|| Failure::of_ca("this CA revokes no certificates"))?;
        let payload = json!({ "certificate": base64::url(certificate) });
        let signer = Signer::Account(&session.account);
        let answer = self.signed(&session.directory, &signer, url, Some(&payload)).await?;
        let was_revoked = || Problem::read(answer.status, &answer.body).kind() == "alreadyRevoked";
        let is_fine = (200..300).contains(&answer.status) || was_revoked();
        if is_fine { Ok(()) } else { Err(failure(&answer, FaultOf::Name)) }
    }

    /// Sends a signed request, and sends it again while the CA refuses the nonce.
    pub(super) async fn signed(
        &self,
        directory: &DirectoryUrls,
        signer: &Signer<'_>,
        url: &str,
        payload: Option<&Value>,
    ) -> Result<Answer, Failure> {
        for _ in 0..NONCES_MAX {
            let nonce = self.nonce(directory).await?;
            let body = self.key().request(signer, &nonce, url, payload);
            let body = body.map_err(|_| Failure::new(FaultOf::Gate, "the account key cannot sign"))?;
            let answer = self.send(Method::Post, url, Some(body.as_bytes())).await?;
            self.keep_nonce(&answer);
            if answer.status < 400 || !Problem::read(answer.status, &answer.body).is_bad_nonce() {
                return Ok(answer);
            }
        }
        Err(Failure::of_ca(format!("the CA refused {NONCES_MAX} of its own nonces")))
    }

    async fn nonce(&self, directory: &DirectoryUrls) -> Result<String, Failure> {
        if let Some(nonce) = self.take_nonce() {
            return Ok(nonce);
        }
        self.new_nonce(directory).await
    }

    pub(super) async fn new_nonce(&self, directory: &DirectoryUrls) -> Result<String, Failure> {
        let answer = self.send(Method::Head, &directory.new_nonce, None).await?;
        answer
            .field("replay-nonce")
            .and_then(sound_nonce)
            .ok_or_else(|| Failure::of_ca("the CA sent no nonce"))
    }

    fn take_nonce(&self) -> Option<String> {
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        let nonce = nonces.iter().next().cloned()?;
        nonces.take(&nonce)
    }

    /// Keeps the nonce of a response for a later request.
    fn keep_nonce(&self, answer: &Answer) {
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        if nonces.len() < NONCES_KEPT {
            nonces.extend(answer.field("replay-nonce").and_then(sound_nonce));
        }
    }

    /// Seconds by which the clock of this machine is ahead of that of the CA. 0 if that is little, or if the CA does not
    /// tell the time.
    pub(in crate::acme) async fn clock_error(&self, session: &Session) -> Result<i64, Failure> {
        if self.ahead().is_none() {
            let nonce = self.new_nonce(&session.directory).await?;
            self.nonces.lock().unwrap_or_else(PoisonError::into_inner).insert(nonce);
        }
        Ok(self.clock.error())
    }

    /// Seconds by which this machine is ahead, if the CA has told the time since the clock was set.
    pub(in crate::acme) fn ahead(&self) -> Option<i64> {
        self.clock.ahead()
    }

    async fn send(&self, method: Method, url: &str, body: Option<&[u8]>) -> Result<Answer, Failure> {
        let _permit = self.requests.acquire().await;
        let parsed = Url::parse(url).map_err(|why| Failure::of_ca(format!("a URL of the CA {why}")))?;
        let body = body.map(|body| ("application/jose+json", body));
        let sent = self.client.send(Request { method, url: &parsed, fields: &[], body }).await;
        let answer =
            sent.map_err(|error| Failure::of_ca(format!("{} does not answer: {error}", parsed.authority())))?;
        self.clock.note(&answer);
        Ok(answer)
    }
}

/// RFC 8555, section 6.5.1.
fn sound_nonce(nonce: &str) -> Option<String> {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (!nonce.is_empty() && nonce.len() <= 512 && nonce.bytes().all(is_digit)).then(|| nonce.to_owned())
}

/// The failure in a response that is no success.
pub(super) fn failure(answer: &Answer, of: FaultOf) -> Failure {
    let problem = Problem::read(answer.status, &answer.body);
    let of = if problem.is_of_the_ca(answer.status) { FaultOf::Ca } else { of };
    Failure {
        retry_after: retry_after(answer),
        is_rate_limit: problem.is_rate_limit() || answer.status == 429,
        limited_domain: problem.limited_domain().map(Arc::from),
        is_of_this_ca: problem.is_of_this_ca() || answer.status == 429,
        ..Failure::new(of, problem.text())
    }
}

/// The failure of an order, an authorization or a challenge that the CA has given up.
pub(in crate::acme) fn given_up(problem: Option<&Problem>, what: &str) -> Failure {
    let Some(problem) = problem else { return Failure::of_name(format!("the CA gave the {what} up")) };
    let of = if problem.is_of_the_ca(0) { FaultOf::Ca } else { FaultOf::Name };
    let (is_rate_limit, is_of_this_ca) = (problem.is_rate_limit(), problem.is_of_this_ca());
    Failure { is_rate_limit, is_of_this_ca, ..Failure::new(of, problem.text()) }
}

/// `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3).
pub(in crate::acme) fn retry_after(answer: &Answer) -> Option<Duration> {
    let value = answer.field("retry-after")?.trim();
    let seconds = value.parse().ok().map(Duration::from_secs);
    let until = || httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).ok();
    seconds.or_else(until).map(|wait| wait.min(RETRY_AFTER_MAX))
}
