//! The life of one name: wait, order, serve, renew.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;
use smol::Timer;
use smol::channel::Receiver;

use super::attempts::{Record, is_expiring, latest_renewal, renewal};
use super::ca::{Ca, Session};
use super::context::{Ask, Context, Opened, View, key_file, now, record_file};
use super::dns::Published;
use super::failure::{Failure, FaultOf};
use super::look::look;
use super::order::{Journal, Ordering};
use super::protocol::ari;
use super::protocol::x509::{LeafKey, key_pem};
use super::revocation::{is_revoked, revoke};
use crate::config::plan::ChallengeKind;
use crate::log::clock::Utc;
use crate::metrics::{NameState, OrderResult};
use crate::store::StoredCertificate;
use crate::tls::{Issued, Validity};

/// The longest sleep. The clock may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(60 * 60);

/// Ends of names that are not public (RFC 6761, RFC 8375, and those that networks use by themselves).
const PRIVATE: [&str; 9] =
    [".local", ".localhost", ".internal", ".test", ".example", ".invalid", ".lan", ".home.arpa", ".onion"];

/// The wait after a failure that has no time of its own.
const HOLD: Duration = Duration::from_secs(60);

/// A wait that is in no record.
struct Hold {
    until: u64,
    reason: String,
}

/// One name.
pub(super) struct Name {
    pub(super) name: Arc<str>,
    pub(super) context: Arc<Context>,
    /// Receives the wishes of an operator.
    pub(super) wishes: Receiver<Ask>,
}

impl Name {
    /// Keeps a certificate for the name. Never ends.
    pub(super) async fn keep(self) {
        if let Some(why) = self.in_vain() {
            self.tell(NameState::Held, None, Some(why.to_owned()));
            return std::future::pending().await;
        }
        let mut asked: Option<Ask> = None;
        let mut held: Option<Hold> = None;
        loop {
            let now = now();
            let mut record = match self.record(now).await {
                Ok(record) => record,
                Err(failure) => Record::unknown(now, failure.reason),
            };
            if asked == Some(Ask::Revoke)
                && let Err(failure) = revoke(&self.context, &self.name, &mut record).await
            {
                tracing::warn!(name = %self.name, "the certificate was not revoked: {}", failure.reason);
                asked = None;
            }
            let forced = asked.is_some();
            let id = self.renewal_id();
            if let Some(id) = &id {
                look(&self.context, &self.name, id, &mut record, now).await;
            }
            let hold = held.as_ref().filter(|hold| hold.until > now && !forced);
            let at = self.due(&record, now, forced).max(hold.map_or(now, |hold| hold.until));
            if at > now {
                let reason = hold.map(|hold| hold.reason.clone()).or(record.reason.clone());
                self.tell(self.state(), Some(at), reason);
                // The CA may move its window.
                let window = id.and_then(|id| record.window_of(&id).map(|window| window.look));
                asked = self.wait(window.map_or(at, |look| at.min(look))).await;
                continue;
            }
            self.tell(self.state_of_order(), None, record.reason.clone());
            let result = self.attempt(record, forced).await;
            // A wish for a new certificate that came meanwhile is granted.
            asked = self.wishes.try_recv().ok().filter(|wish| *wish == Ask::Revoke);
            // Without a failure, the record has the next time.
            held = result.err();
        }
    }

    /// The earliest time of the next order.
    fn due(&self, record: &Record, now: u64, forced: bool) -> u64 {
        let earliest = record.earliest(now, forced);
        match self.validity().filter(|_| !forced && !is_revoked(&self.context, &self.name, record)) {
            Some(Validity { not_before, not_after }) => {
                let window =
                    self.renewal_id().and_then(|id| Some(record.window_of(&id)?.time(self.jitter())));
                let wanted = window.unwrap_or_else(|| renewal(not_before, not_after, self.jitter()));
                earliest.max(wanted.min(latest_renewal(not_before, not_after)))
            }
            None => earliest,
        }
    }

    /// One attempt. An error is a wait that is not in the record, because no order was made.
    async fn attempt(&self, mut record: Record, forced: bool) -> Result<(), Hold> {
        let _slot = self.context.slots.acquire().await;
        let wait = |failure: Failure| {
            let wait = failure.retry_after.unwrap_or(HOLD);
            Hold { until: now() + wait.as_secs(), reason: failure.reason }
        };
        let (opened, session) = self.context.connect().await.map_err(wait)?;
        if record.choose_rehearsal(opened.staging.is_some(), forced) {
            let journal = Writer { opened, name: self.name.clone(), record };
            return self.rehearse(journal).await.map_err(wait);
        }
        let mut journal = Writer { opened: opened.clone(), name: self.name.clone(), record };
        self.begin(&mut journal).await.map_err(wait)?;
        let ordered = self.order(&opened.ca, &session, &mut journal).await;
        journal.withdraw().await;
        let issued = match ordered {
            Ok((chain, key)) => self.accept(&mut journal, chain, key).await,
            Err(failure) => Err(failure),
        };
        let counters = &self.context.shared.counters;
        match issued {
            Ok(validity) => {
                counters.order(OrderResult::Ok);
                let until = utc(validity.not_after);
                tracing::info!(name = %self.name, %until, "certificate issued");
                (self.context.shared.changed)();
                Ok(())
            }
            Err(failure) => {
                counters.order(failure.label());
                self.fail(&mut journal, failure).await.map_err(wait)
            }
        }
    }

    /// One order at the test system of the CA. Its certificate is thrown away. If the test system is in trouble, it says
    /// nothing about the name.
    async fn rehearse(&self, mut journal: Writer) -> Result<(), Failure> {
        let opened = journal.opened.clone();
        let Some(staging) = &opened.staging else { return Ok(()) };
        journal.record.begin(now(), self.jitter());
        journal.write().await?;
        let ordered = match staging.session().await {
            Ok(session) => self.order(staging, &session, &mut journal).await,
            Err(failure) => Err(failure),
        };
        journal.withdraw().await;
        journal.forget_key().await?;
        match ordered {
            Err(failure) if failure.of == FaultOf::Name => {
                let reason = format!("at the test system: {}", failure.reason);
                self.fail(&mut journal, Failure { reason, ..failure }).await
            }
            result => {
                journal.record.rehearsed(now(), result.is_ok());
                journal.write().await
            }
        }
    }

    /// Writes that an attempt begins, before it does.
    async fn begin(&self, journal: &mut Writer) -> Result<(), Failure> {
        if journal.record.order.is_none() {
            journal.opened.take_order().await?;
        }
        journal.record.begin(now(), self.jitter());
        journal.write().await
    }

    async fn order(
        &self,
        ca: &Ca,
        session: &Session,
        journal: &mut Writer,
    ) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        let known = journal.record.order.clone();
        let kinds = match self.name.starts_with("*.") {
            // No other challenge proves a wildcard (RFC 8555, section 7.1.3; RFC 8737, section 3).
            true => &[ChallengeKind::Dns][..],
            false => &self.context.orders.challenges,
        };
        // After a failure, another challenge comes first.
        let first = journal.record.failures.saturating_sub(1) as usize % kinds.len().max(1);
        let challenges: Vec<ChallengeKind> = kinds[first..].iter().chain(&kinds[..first]).copied().collect();
        let opened = journal.opened.clone();
        let issued = &self.context.shared.issued;
        let publisher = opened.publisher.as_ref();
        let is_real = std::ptr::eq(ca, &opened.ca);
        let replaces = self.renewal_id().filter(|_| is_real && journal.record.may_replace());
        let ordering = Ordering { ca, session, name: &self.name, challenges, replaces, issued, publisher };
        ordering.run(known, journal).await
    }

    /// Keeps the certificate, then serves it.
    async fn accept(&self, journal: &mut Writer, chain: Vec<u8>, key: Vec<u8>) -> Result<Validity, Failure> {
        let (name, now) = (self.name.clone(), now());
        let key = key_pem(&key).into_bytes();
        let unusable =
            |why: String| Failure::of_name(format!("the CA sent a certificate that cannot be used: {why}"));
        Issued::check(&name, &chain, &key, now.cast_signed()).map_err(unusable)?;
        let stored = StoredCertificate { chain: chain.clone(), key: key.clone() };
        let kept = move |opened: &Opened| {
            let (store, lock) = opened.store();
            store.keep_certificate(lock, &name, &stored)
        };
        journal.opened.blocking(kept).await?;
        let issued = &self.context.shared.issued;
        let validity = issued.serve(&self.name, &chain, &key, now.cast_signed()).map_err(unusable)?;
        journal.record.succeed(now);
        journal.write().await?;
        journal.forget_key().await?;
        Ok(validity)
    }

    async fn fail(&self, journal: &mut Writer, failure: Failure) -> Result<(), Failure> {
        let now = now();
        let expiring = self
            .validity()
            .is_some_and(|Validity { not_before, not_after }| is_expiring(not_before, not_after, now));
        journal.record.fail(now, &failure, expiring, self.jitter());
        let next = utc(journal.record.not_before.cast_signed());
        tracing::warn!(name = %self.name, %next, "no certificate: {}", failure.reason);
        journal.write().await?;
        if journal.record.order.is_none() {
            journal.forget_key().await?;
        }
        Ok(())
    }

    async fn record(&self, now: u64) -> Result<Record, Failure> {
        let (store, file) = (self.context.store.clone(), record_file(&self.name));
        let read = smol::unblock(move || store.read(&file)).await;
        let cannot = |error| self.context.cannot_use(&error);
        read.map(|bytes| Record::read(bytes.as_deref(), now)).map_err(cannot)
    }

    /// Sleeps until then, or until an operator asks for something.
    async fn wait(&self, at: u64) -> Option<Ask> {
        let left = Duration::from_secs(at.saturating_sub(now()));
        let slept = async {
            Timer::after(left.min(SLEEP_MAX)).await;
            None
        };
        let asked = async {
            match self.wishes.recv().await {
                Ok(wish) => Some(wish),
                Err(_) => std::future::pending().await,
            }
        };
        asked.or(slept).await
    }

    /// Why an order for the name would be in vain.
    fn in_vain(&self) -> Option<&'static str> {
        let name = self.name.strip_prefix("*.").unwrap_or(&self.name);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if name.starts_with('.') || !name.bytes().all(is_plain) {
            return Some("this is no DNS name");
        }
        let is_public = || name.contains('.') && !PRIVATE.iter().any(|end| name.ends_with(end));
        let is_wanted = !self.context.orders.ca.is_public() || is_public();
        (!is_wanted)
            .then_some("this name is not public, and the CA issues certificates for public names only")
    }

    /// The name of the certificate at its CA.
    fn renewal_id(&self) -> Option<String> {
        let identity = self.context.shared.issued.identity(&self.name)?;
        Some(ari::id(&identity.authority_key, &identity.serial))
    }

    fn validity(&self) -> Option<Validity> {
        self.context.shared.issued.validity(&self.name)
    }

    fn state(&self) -> NameState {
        if self.validity().is_some() { NameState::Valid } else { NameState::Waiting }
    }

    fn state_of_order(&self) -> NameState {
        if self.validity().is_some() { NameState::Valid } else { NameState::Ordering }
    }

    fn tell(&self, state: NameState, next: Option<u64>, error: Option<String>) {
        let until = self.validity().map(|validity| validity.not_after);
        self.context.shared.tell(View { name: self.name.clone(), state, until, next, error });
    }

    /// A number from 0 to 1 that depends on the name, so that names do not act at one moment.
    fn jitter(&self) -> f64 {
        let hash = self.name.bytes().fold(5381_u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(byte));
        f64::from(hash % 1024) / 1024.0
    }
}

/// Writes the steps of an order to the disk.
struct Writer {
    opened: Arc<Opened>,
    name: Arc<str>,
    record: Record,
}

impl Writer {
    async fn write(&self) -> Result<(), Failure> {
        self.opened.write(&self.name, &self.record).await
    }

    /// Removes the record of DNS, if there is one. A provider that fails leaves it there, where it does no harm.
    async fn withdraw(&mut self) {
        let Some(record) = self.record.published.take() else { return };
        let removed = match &self.opened.publisher {
            Some(publisher) => publisher.withdraw(&record).await,
            None => Err("`dns` of `acme` is not set up any more".to_owned()),
        };
        if let Err(why) = removed {
            tracing::warn!(name = %self.name, "the record of a challenge stays in DNS: {why}");
        }
        if let Err(failure) = self.write().await {
            tracing::warn!(name = %self.name, "{}", failure.reason);
        }
    }

    async fn forget_key(&self) -> Result<(), Failure> {
        let file = key_file(&self.name);
        let remove = move |opened: &Opened| {
            let (store, lock) = opened.store();
            store.remove(lock, &file)
        };
        self.opened.blocking(remove).await
    }
}

impl Journal for Writer {
    async fn ordered(&mut self, url: &str) -> Result<(), Failure> {
        self.record.order = Some(url.to_owned());
        self.write().await
    }

    async fn published(&mut self, record: &Published) -> Result<(), Failure> {
        if self.record.published.as_ref().is_some_and(|left| left != record) {
            self.withdraw().await;
        }
        self.record.published = Some(record.clone());
        self.write().await
    }

    async fn key(&mut self) -> Result<Vec<u8>, Failure> {
        let file = key_file(&self.name);
        let read = file.clone();
        if let Some(der) = self.opened.blocking(move |opened| opened.store().0.read(&read)).await? {
            return Ok(der);
        }
        let unable = |_| Failure::new(FaultOf::Gate, "no key can be made");
        let (_, der) = LeafKey::generate().map_err(unable)?;
        let bytes = der.clone();
        let write = move |opened: &Opened| {
            let (store, lock) = opened.store();
            store.write(lock, &file, &bytes)
        };
        self.opened.blocking(write).await?;
        Ok(der)
    }
}

fn utc(seconds: i64) -> Utc {
    Utc::from(std::time::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
}
