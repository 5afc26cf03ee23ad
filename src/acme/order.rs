//! One order, from the first request to the certificate. An order that was cut off is taken up where it was.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use futures_lite::FutureExt;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use serde_json::json;
use smol::Timer;

use super::ca::{Ca, SHORT_LIVED, Session, given_up, retry_after};
use super::dns::{Published, Publisher, persistent_name, persistent_text};
use super::failure::{Failure, FaultOf};
use super::fleet::SharedAnswer;
use super::protocol::base64;
use super::protocol::messages::{self, Authorization, Challenge, Order, Status};
use super::protocol::x509::{self, LeafKey};
use crate::config::plan::{ChallengeKind, KeyKind, Orders};
use crate::net::Answer;
use crate::tls::{Issued, address_of};

/// The time for the CA to decide. Then the order waits for the next attempt.
const DECISION_TIME_MAX: Duration = Duration::from_secs(180);
/// The first wait between two looks; it doubles up to the second.
const LOOK: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(8)];
/// Times that a request without an answer is sent again.
const AGAIN_MAX: u32 = 4;
/// The longest wait between two looks that a CA may ask for.
const LOOK_MAX: Duration = Duration::from_secs(60);

/// The steps that have to be on the disk before the next one is taken.
pub(super) trait Journal {
    /// Whether an order may be made now: the gate may have been stopped since the attempt began.
    fn may_order(&self) -> Result<(), Failure>;

    /// The order exists.
    async fn ordered(&mut self, url: &str) -> Result<(), Failure>;

    /// The record of DNS is about to be written. One that an earlier attempt has left is removed.
    async fn published(&mut self, record: &Published) -> Result<(), Failure>;

    /// The key of the certificate: the one that an earlier attempt has written, else a new one, which is on the disk
    /// when this returns.
    async fn key(&mut self, kind: KeyKind) -> Result<Vec<u8>, Failure>;

    /// The answer to a challenge is given here. It is given by all gates that share the store when this returns.
    async fn share(&mut self, answer: &SharedAnswer) -> Result<(), Failure>;

    /// The challenge is over.
    async fn unshare(&mut self);
}

/// The challenges that prove an address. That of DNS is not among them (RFC 8738, section 7).
const OF_ADDRESSES: [ChallengeKind; 2] = [ChallengeKind::Http, ChallengeKind::Tls];

/// The challenges for a name, that to take first. `turn` counts the failures.
pub(super) fn challenges(name: &str, orders: &Orders, turn: u32) -> Vec<ChallengeKind> {
    let mut kinds = match name.starts_with("*.") {
        // No other challenge proves a wildcard (RFC 8555, section 7.1.3; RFC 8737, section 3).
        true => vec![ChallengeKind::Dns],
        false => orders.challenges.clone(),
    };
    if address_of(name).is_some() {
        kinds.retain(|kind| OF_ADDRESSES.contains(kind));
        if kinds.is_empty() {
            kinds.extend(OF_ADDRESSES);
        }
    }
    let first = turn as usize % kinds.len().max(1);
    kinds[first..].iter().chain(&kinds[..first]).copied().collect()
}

/// The parts that an order needs.
pub(super) struct Ordering<'a> {
    pub(super) ca: &'a Ca,
    pub(super) session: &'a Session,
    pub(super) name: &'a str,
    /// The challenge to take, and the others if the CA does not offer it.
    pub(super) challenges: Vec<ChallengeKind>,
    /// The certificate that the new one replaces (RFC 9773, section 5).
    pub(super) replaces: Option<String>,
    /// The kind of a new key.
    pub(super) key: KeyKind,
    pub(super) issued: &'a Arc<Issued>,
    /// The way to answer challenges by DNS.
    pub(super) publisher: Option<&'a Publisher>,
}

impl Ordering<'_> {
    /// Makes the order, or takes up the one at `known`. Returns the chain in PEM and the key in PKCS #8.
    pub(super) async fn run(
        &self,
        known: Option<String>,
        journal: &mut impl Journal,
    ) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        let time = DECISION_TIME_MAX + self.publisher.map(Publisher::time_max).unwrap_or_default();
        let late = async {
            Timer::after(time).await;
            Err(Failure::of_ca(format!("the CA has not decided within {time:?}")))
        };
        self.go_on(known, journal).or(late).await
    }

    async fn go_on(
        &self,
        known: Option<String>,
        journal: &mut impl Journal,
    ) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        let (url, mut order) = match known {
            Some(url) => (url.clone(), self.order(&url).await?.0),
            None => self.begin(journal).await?,
        };
        let (mut looks, mut is_finalized) = (Looks::default(), false);
        loop {
            match order.status {
                Status::Pending => {
                    for authorization in &order.authorizations {
                        self.prove(authorization, journal).await?;
                    }
                }
                Status::Ready if !is_finalized => {
                    let key = journal.key(self.key).await?;
                    let key = LeafKey::from_pkcs8(&key).and_then(|key| key.request(self.name).ok());
                    let request =
                        key.ok_or_else(|| Failure::new(FaultOf::Gate, "the new key cannot be used"))?;
                    let payload = json!({ "csr": base64::url(request) });
                    is_finalized = true;
                    self.post(&order.finalize, Some(&payload)).await?;
                }
                Status::Valid => {
                    let certificate = order.certificate.as_deref();
                    let url = certificate.ok_or_else(|| Failure::of_ca("the CA named no certificate"))?;
                    let chain = self.post(url, None).await?.body;
                    return Ok((chain, journal.key(self.key).await?));
                }
                Status::Invalid => return Err(given_up(order.error.as_ref(), "order")),
                Status::Ready | Status::Processing | Status::Other => {}
            }
            let (now, answer) = self.order(&url).await?;
            if now.status == order.status || now.status == Status::Processing {
                looks.wait(retry_after(&answer)).await;
            }
            order = now;
        }
    }

    async fn begin(&self, journal: &mut impl Journal) -> Result<(String, Order), Failure> {
        let kind = if address_of(self.name).is_some() { "ip" } else { "dns" };
        let mut wish = json!({ "identifiers": [{ "type": kind, "value": self.name }] });
        if let Some(profile) = self.ca.profile(&self.session.directory, self.name) {
            wish["profile"] = json!(profile);
        }
        if let Some(replaces) =
            self.replaces.as_ref().filter(|_| self.session.directory.renewal_info.is_some())
        {
            wish["replaces"] = json!(replaces);
        }
        journal.may_order()?;
        let answer = self.post(&self.session.directory.new_order, Some(&wish)).await;
        let answer = answer.map_err(|failure| self.of_address(failure))?;
        let url = answer.field("location").map(str::to_owned);
        let url = url.ok_or_else(|| Failure::of_ca("the CA did not say the URL of the order"))?;
        journal.ordered(&url).await?;
        Ok((url, messages::read_order(&answer.body).map_err(Failure::of_ca)?))
    }

    /// The failure of a new order. Many CAs issue nothing for addresses, and then another one may.
    fn of_address(&self, failure: Failure) -> Failure {
        if address_of(self.name).is_none() || failure.of != FaultOf::Name || failure.is_rate_limit {
            return failure;
        }
        let hint = match self.session.directory.meta.profiles.contains_key(SHORT_LIVED) {
            true => "",
            false => {
                "; the CA does not have the profile `shortlived`, with which Let's Encrypt issues for addresses"
            }
        };
        Failure { reason: format!("{}{hint}", failure.reason), is_of_this_ca: true, ..failure }
    }

    async fn order(&self, url: &str) -> Result<(Order, Answer), Failure> {
        let answer = self.post(url, None).await?;
        Ok((messages::read_order(&answer.body).map_err(Failure::of_ca)?, answer))
    }

    /// Proves that the name is ours. The answer to the challenge is there until the CA has decided.
    async fn prove(&self, url: &str, journal: &mut impl Journal) -> Result<(), Failure> {
        let (authorization, _) = self.authorization(url).await?;
        // That of a wildcard has the name behind it (RFC 8555, section 7.1.4).
        if !authorization.identifier.is_of(self.host()) {
            return Err(Failure::of_ca("the CA asks for a proof of another name"));
        }
        if authorization.status == Status::Valid {
            return Ok(());
        }
        let Some((kind, challenge)) = self.offered(&authorization) else {
            return Err(Failure::of_name("the CA offers no challenge that `challenges` names"));
        };
        if let Some((_, issuer)) = self.persistent(kind, &authorization) {
            self.find_persistent(issuer).await?;
        }
        let open = OpenChallenge::new(self, kind, challenge, journal).await?;
        let decided = self.decision(url, kind, challenge).await;
        if !matches!(open, OpenChallenge::Dns) {
            journal.unshare().await;
        }
        decided
    }

    /// Waits for the decision of the CA on an open challenge.
    async fn decision(&self, url: &str, kind: ChallengeKind, challenge: &Challenge) -> Result<(), Failure> {
        // After a crash, the CA may be looking already.
        let mut is_asked = challenge.status != Status::Pending;
        let mut looks = Looks::default();
        loop {
            // If the CA does not answer, it may be looking nevertheless. So the challenge stays open.
            is_asked = is_asked || self.is_asked(challenge).await?;
            let (now, answer) = self.authorization(url).await?;
            match now.status {
                Status::Valid => return Ok(()),
                Status::Pending | Status::Processing => looks.wait(retry_after(&answer)).await,
                _ => {
                    let failure = given_up(now.error(), "authorization");
                    return Err(Failure {
                        reason: format!("{}: {}", kind.word(), failure.reason),
                        ..failure
                    });
                }
            }
        }
    }

    /// The first of our challenges that the CA offers.
    fn offered<'c>(&self, authorization: &'c Authorization) -> Option<(ChallengeKind, &'c Challenge)> {
        self.challenges.iter().find_map(|kind| match self.is_persistent(*kind) {
            true => Some((*kind, authorization.persistent()?.0)),
            false => Some((*kind, authorization.challenge(kind.word())?)),
        })
    }

    /// Whether a challenge is answered by a record that a person has written.
    fn is_persistent(&self, kind: ChallengeKind) -> bool {
        kind == ChallengeKind::Dns && self.publisher.is_some_and(Publisher::is_static)
    }

    fn persistent<'c>(
        &self,
        kind: ChallengeKind,
        authorization: &'c Authorization,
    ) -> Option<(&'c Challenge, &'c str)> {
        authorization.persistent().filter(|_| self.is_persistent(kind))
    }

    /// Looks whether the record is there that a person has to write. If that cannot be found out, the CA decides.
    async fn find_persistent(&self, issuer: &str) -> Result<(), Failure> {
        let (host, account, is_wildcard) = (self.host(), &*self.session.account, self.name.starts_with("*."));
        let has = match self.publisher {
            Some(publisher) => publisher.has_persistent(host, issuer, account, is_wildcard).await,
            None => None,
        };
        if has != Some(false) {
            return Ok(());
        }
        let (name, text) = (persistent_name(host), persistent_text(issuer, account, is_wildcard));
        Err(Failure::new(FaultOf::Gate, format!("dns: write the record {name} TXT \"{text}\"")))
    }

    /// The name without `*.`.
    fn host(&self) -> &str {
        self.name.strip_prefix("*.").unwrap_or(self.name)
    }

    /// Writes the record of DNS, and waits until it can be read. It is removed by the end of the attempt.
    async fn publish(&self, authorization: &str, journal: &mut impl Journal) -> Result<(), Failure> {
        let of_dns = |why| Failure::new(FaultOf::Gate, format!("dns: {why}"));
        let publisher = self.publisher.ok_or_else(|| of_dns("`dns` of `acme` is not set up".to_owned()))?;
        let value = base64::url(digest(&SHA256, authorization.as_bytes()));
        let place = publisher.find(self.host(), value).await;
        journal.published(&place.record).await?;
        publisher.publish(&place).await.map_err(of_dns)
    }

    /// Tells the CA that the answer is there. Returns whether it knows.
    async fn is_asked(&self, challenge: &Challenge) -> Result<bool, Failure> {
        match self.post(&challenge.url, Some(&json!({}))).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.of == FaultOf::Ca => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn authorization(&self, url: &str) -> Result<(Authorization, Answer), Failure> {
        let answer = self.post(url, None).await?;
        Ok((messages::read(&answer.body, "authorization").map_err(Failure::of_ca)?, answer))
    }

    /// Sends a request of the account. One that changes nothing is sent again if the CA does not answer: a challenge
    /// would be over if the order were given up for that.
    async fn post(&self, url: &str, payload: Option<&serde_json::Value>) -> Result<Answer, Failure> {
        let mut looks = Looks::default();
        loop {
            let sent = self.ca.post(self.session, url, payload, FaultOf::Name).await;
            match sent {
                Err(failure) if payload.is_none() && failure.of == FaultOf::Ca && looks.0 < AGAIN_MAX => {
                    looks.wait(failure.retry_after).await;
                }
                sent => return sent,
            }
        }
    }
}

/// The waits between looks at one resource.
#[derive(Default)]
struct Looks(u32);

impl Looks {
    async fn wait(&mut self, asked: Option<Duration>) {
        let own = LOOK[0].saturating_mul(1 << self.0.min(16)).min(LOOK[1]);
        self.0 += 1;
        Timer::after(asked.map_or(own, |asked| asked.clamp(LOOK[0], LOOK_MAX))).await;
    }
}

/// A challenge that the data plane answers until this is dropped.
enum OpenChallenge<'a> {
    /// By token.
    Http(&'a Issued, String),
    /// By name.
    Tls(&'a Issued, String),
    /// The record of DNS outlives the process, so the journal has it.
    Dns,
}

impl<'a> OpenChallenge<'a> {
    async fn new(
        ordering: &Ordering<'a>,
        kind: ChallengeKind,
        challenge: &Challenge,
        journal: &mut impl Journal,
    ) -> Result<Self, Failure> {
        let (issued, name) = (&**ordering.issued, ordering.name);
        let authorization = ordering.ca.key_authorization(&challenge.token);
        match kind {
            ChallengeKind::Http => {
                issued.answer_http(name, &challenge.token, &authorization);
                let open = Self::Http(issued, challenge.token.clone());
                journal.share(&SharedAnswer::http(&challenge.token, &authorization)).await?;
                Ok(open)
            }
            ChallengeKind::Tls => {
                let unable = |_| Failure::new(FaultOf::Gate, "the certificate of a challenge cannot be made");
                let (leaf, der) = LeafKey::generate().map_err(unable)?;
                let certificate = leaf.challenge(name, &authorization).map_err(unable)?;
                let shared = SharedAnswer::tls(&certificate, &der);
                issued.answer_tls(name, &certified(vec![certificate.into()], der)?);
                let open = Self::Tls(issued, name.to_owned());
                journal.share(&shared).await?;
                Ok(open)
            }
            ChallengeKind::Dns if ordering.is_persistent(kind) => Ok(Self::Dns),
            ChallengeKind::Dns => {
                ordering.publish(&authorization, journal).await?;
                Ok(Self::Dns)
            }
        }
    }
}

impl Drop for OpenChallenge<'_> {
    fn drop(&mut self) {
        match self {
            Self::Http(issued, token) => issued.end_http(token),
            Self::Tls(issued, name) => issued.end_tls(name),
            Self::Dns => {}
        }
    }
}

/// A chain with its key, for rustls. Whether they belong together is not checked.
pub(super) fn certified(
    chain: Vec<CertificateDer<'static>>,
    pkcs8: Vec<u8>,
) -> Result<Arc<CertifiedKey>, Failure> {
    x509::certified(chain, pkcs8)
        .map_err(|error| Failure::new(FaultOf::Gate, format!("a new key cannot be used: {error}")))
}
