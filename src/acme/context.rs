//! The parts that all names share: the folder, the account, the budgets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use smol::lock::{RwLock, Semaphore};

use super::attempts::{Orders as OrderTimes, Record, ca_back_off};
use super::ca::{Ca, Session};
use super::dns::Publisher;
use super::events::Event;
use super::failure::{Failure, FaultOf};
use super::protocol::jws::AccountKey;
use super::shared::Shared;
use crate::config::plan::{CertificateAuthority, Orders, UpstreamTls};
use crate::net::Client;
use crate::store::{Lock, Store, file_name};
use crate::tls::Connector;

/// Orders that run at once.
const ORDERS_MAX: usize = 20;

/// The file with the key of the account.
const ACCOUNT_KEY: &str = "account-key";
/// The file with the next key of the account, while it is being changed.
const NEXT_KEY: &str = "next-account-key";
/// The file with the key of the account at the test system.
const STAGING_KEY: &str = "staging-account-key";
/// Failures in a row after which the next CA is asked.
const TROUBLES_MAX: u32 = 2;

/// The file with the times of the last orders.
const ORDER_TIMES: &str = "orders.json";

/// The lock of the folder. All CAs of one configuration share it.
pub(super) type SharedLock = Arc<smol::lock::Mutex<Option<Arc<Lock>>>>;

/// The parts that all names of one configuration share, for one CA.
pub(super) struct Context {
    pub(super) orders: Arc<Orders>,
    /// The index of the CA in `orders`.
    index: usize,
    pub(super) store: Store,
    pub(super) shared: Arc<Shared>,
    pub(super) slots: Semaphore,
    /// Read while an order is under way, and written while the key of the account changes.
    pub(super) turn: RwLock<()>,
    lock: SharedLock,
    opened: smol::lock::Mutex<Option<Arc<Opened>>>,
    trouble: Mutex<Trouble>,
    /// Domains whose limit at the CA was reached, each with the end of the wait.
    limited: Mutex<HashMap<Arc<str>, u64>>,
}

/// The folder and the account, once they can be used.
pub(super) struct Opened {
    lock: Arc<Lock>,
    store: Store,
    pub(super) ca: Ca,
    /// The test system of the CA. Its certificates are never kept.
    pub(super) staging: Option<Ca>,
    pub(super) publisher: Option<Publisher>,
    /// Locked while they are written, too.
    times: smol::lock::Mutex<OrderTimes>,
}

/// The wait after failures that concern all names.
#[derive(Default)]
struct Trouble {
    failures: u32,
    until: u64,
    failure: Option<Failure>,
}

impl Context {
    pub(super) fn new(
        orders: Arc<Orders>,
        (index, store): (usize, Store),
        shared: Arc<Shared>,
        lock: SharedLock,
    ) -> Self {
        Self {
            orders,
            index,
            store,
            shared,
            slots: Semaphore::new(ORDERS_MAX),
            turn: RwLock::new(()),
            lock,
            opened: smol::lock::Mutex::new(None),
            trouble: Mutex::default(),
            limited: Mutex::default(),
        }
    }

    /// The CA.
    pub(super) fn authority(&self) -> &CertificateAuthority {
        &self.orders.cas[self.index]
    }

    /// Whether it is that of the first CA, whose part of the store has what is not of a CA.
    pub(super) fn is_first(&self) -> bool {
        self.index == 0
    }

    /// Whether the CA has failed so often that the next one is asked.
    pub(super) fn is_out(&self) -> bool {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).failures >= TROUBLES_MAX
    }

    /// Notes that the CA issues no more certificates for the names below a domain until then.
    pub(super) fn limit(&self, domain: &Arc<str>, until: u64) {
        self.limited.lock().unwrap_or_else(PoisonError::into_inner).insert(domain.clone(), until);
    }

    /// The domain above a name, or itself, whose limit was reached, and the end of the wait.
    pub(super) fn limit_of(&self, name: &str, now: u64) -> Option<(Arc<str>, u64)> {
        let mut limited = self.limited.lock().unwrap_or_else(PoisonError::into_inner);
        limited.retain(|_, until| *until > now);
        let is_below = |domain: &str| {
            name.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        limited.iter().find(|(domain, _)| is_below(domain)).map(|(domain, until)| (domain.clone(), *until))
    }

    /// The folder, the account and the addresses of the CA. If one of them cannot be had, no name asks for it before
    /// a wait is over.
    pub(super) async fn connect(&self) -> Result<(Arc<Opened>, Arc<Session>), Failure> {
        // Names ask one after the other: the first failure is that of all.
        let mut opened = self.opened.lock().await;
        // The right to order may have come since.
        let is_held = opened.as_ref().is_some_and(|opened| opened.store.may_write(&opened.lock));
        let is_over = |failure: &Failure| failure.of == FaultOf::Turn && is_held;
        if let Some(failure) = self.trouble().filter(|failure| !is_over(failure)) {
            return Err(failure);
        }
        match self.open(&mut opened).await {
            Ok(connected) => {
                *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Trouble::default();
                Ok(connected)
            }
            Err(failure) => Err(self.note(failure)),
        }
    }

    /// The folder, once it can be used.
    pub(super) async fn folder(&self) -> Result<Arc<Opened>, Failure> {
        self.open_folder(&mut *self.opened.lock().await).await
    }

    async fn open(&self, opened: &mut Option<Arc<Opened>>) -> Result<(Arc<Opened>, Arc<Session>), Failure> {
        let ready = self.open_folder(opened).await?;
        let session = ready.ca.session().await?;
        ready.settle_key().await?;
        Ok((ready, session))
    }

    async fn open_folder(&self, opened: &mut Option<Arc<Opened>>) -> Result<Arc<Opened>, Failure> {
        // In a store that gates share, another gate may have taken the right to write.
        if let Some(ready) = opened.as_ref().filter(|ready| ready.store.may_write(&ready.lock)) {
            return Ok(ready.clone());
        }
        let (orders, index, store) = (self.orders.clone(), self.index, self.store.clone());
        let mut held = self.lock.lock().await;
        let known = held.clone();
        let ready = smol::unblock(move || Opened::new(orders, index, store, known)).await?;
        *held = Some(ready.lock.clone());
        Ok(opened.insert(Arc::new(ready)).clone())
    }

    /// Tells what has happened to a name at this CA.
    pub(super) fn happened(&self, event: Event) {
        let event = Event { ca: Some(self.authority().name()), ..event };
        self.shared.events.tell(self.orders.on_event.as_ref(), event);
    }

    /// The failure of a store that cannot be read or written.
    pub(super) fn cannot_use(&self, error: &std::io::Error) -> Failure {
        cannot_use(&self.store, error)
    }

    /// Whether this gate has the right to write, which it asks for when a name needs it.
    pub(super) async fn orders_now(&self) -> bool {
        self.opened.lock().await.as_ref().is_some_and(|opened| opened.store.may_write(&opened.lock))
    }

    /// The failure of all names, until its wait is over.
    fn trouble(&self) -> Option<Failure> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let left = trouble.until.checked_sub(now()).filter(|left| *left > 0)?;
        Some(Failure { retry_after: Some(Duration::from_secs(left)), ..trouble.failure.clone()? })
    }

    fn note(&self, failure: Failure) -> Failure {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = failure.retry_after.unwrap_or_default();
        if failure.of == FaultOf::Turn {
            let until = now() + asked.as_secs().max(1);
            *trouble = Trouble { failures: 0, until, failure: Some(failure.clone()) };
            tracing::debug!("{}", failure.reason);
            return failure;
        }
        trouble.failures = trouble.failures.saturating_add(1);
        let wait = asked.max(Duration::from_secs(ca_back_off(trouble.failures)));
        trouble.until = now() + wait.as_secs();
        trouble.failure = Some(failure.clone());
        tracing::warn!(ca = %self.authority().folder(), "no certificate can be ordered: {}", failure.reason);
        Failure { retry_after: Some(wait), ..failure }
    }
}

impl Opened {
    /// Takes the lock and reads the keys of the accounts. Blocks.
    fn new(
        orders: Arc<Orders>,
        index: usize,
        store: Store,
        held: Option<Arc<Lock>>,
    ) -> Result<Self, Failure> {
        let lock = match held {
            Some(lock) => store.prepare(&lock).map(|()| lock),
            None => store.lock().map(Arc::new),
        };
        let lock = lock.map_err(|error| cannot_use(&store, &error))?;
        let of_store = |error: std::io::Error| Failure::of_store(&error);
        let times = OrderTimes::read(store.read(ORDER_TIMES).map_err(of_store)?.as_deref());
        let publisher = match &orders.dns {
            Some(dns) => Some(Publisher::new(dns, client(UpstreamTls::default())?)),
            None => None,
        };
        let authority = &orders.cas[index];
        let at_ca = client(UpstreamTls { ca: authority.root.clone(), ..UpstreamTls::default() })?;
        let staging = match &authority.staging {
            Some(url) => {
                let key = account_key(&store, &lock, STAGING_KEY)?;
                Some(Ca::new(at_ca.clone(), (orders.clone(), index), url, key, None))
            }
            None => None,
        };
        let key = account_key(&store, &lock, ACCOUNT_KEY)?;
        let next = store.read(NEXT_KEY).map_err(of_store)?;
        let next = next.and_then(|der| AccountKey::from_pkcs8(&der));
        let ca = Ca::new(at_ca, (orders.clone(), index), &authority.directory, key, next);
        Ok(Self { lock, store, ca, staging, publisher, times: smol::lock::Mutex::new(times) })
    }

    /// Writes a record. It is on the disk when this returns.
    pub(super) async fn write(self: &Arc<Self>, name: &Arc<str>, record: &Record) -> Result<(), Failure> {
        let (bytes, file) = (record.bytes(), record_file(name));
        self.blocking(move |opened| opened.store.write(&opened.lock, &file, &bytes)).await
    }

    /// Counts an order, on the disk. If there were too many, it waits for the next attempt.
    pub(super) async fn take_order(self: &Arc<Self>, now: u64) -> Result<(), Failure> {
        let mut times = self.times.lock().await;
        match times.take(now) {
            Ok(bytes) => {
                self.blocking(move |opened| opened.store.write(&opened.lock, ORDER_TIMES, &bytes)).await
            }
            Err(until) => {
                let wait = Some(Duration::from_secs(until.saturating_sub(now)));
                let reason =
                    "too many orders in three hours: smolgate waits, to stay below the limit of the CA";
                Err(Failure { retry_after: wait, ..Failure::of_ca(reason) })
            }
        }
    }

    /// Gives the account a new key. It is on the disk before the CA hears of it.
    pub(super) async fn change_key(self: &Arc<Self>, session: &Session) -> Result<(), Failure> {
        let unable = |_| Failure::new(FaultOf::Gate, "no account key can be made");
        let (key, der) = AccountKey::generate().map_err(unable)?;
        let next = der.clone();
        self.blocking(move |opened| opened.store.write(&opened.lock, NEXT_KEY, &next)).await?;
        match self.ca.change_key(session, key).await {
            Ok(()) => self.keep_key(der).await,
            // The CA may have changed it.
            Err(failure) if failure.of != FaultOf::Name => Err(failure),
            Err(failure) => {
                self.forget_next_key().await?;
                Err(failure)
            }
        }
    }

    /// Ends a change of the key that was cut off: the account is known now, so is its key.
    async fn settle_key(self: &Arc<Self>) -> Result<(), Failure> {
        match self.ca.settle_key() {
            None => Ok(()),
            Some(false) => self.forget_next_key().await,
            Some(true) => {
                let next = self.blocking(|opened| opened.store.read(NEXT_KEY)).await?;
                match next {
                    Some(der) => self.keep_key(der).await,
                    None => Ok(()),
                }
            }
        }
    }

    async fn keep_key(self: &Arc<Self>, der: Vec<u8>) -> Result<(), Failure> {
        self.blocking(move |opened| opened.store.write(&opened.lock, ACCOUNT_KEY, &der)).await?;
        self.forget_next_key().await
    }

    async fn forget_next_key(self: &Arc<Self>) -> Result<(), Failure> {
        self.blocking(|opened| opened.store.remove(&opened.lock, NEXT_KEY)).await
    }

    /// Runs work with the store on a thread that may block.
    pub(super) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Opened) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let opened = self.clone();
        let retry_after = self.store.others().map(|(interval, _)| interval);
        let failure = |error| Failure { retry_after, ..Failure::of_store(&error) };
        smol::unblock(move || work(&opened)).await.map_err(failure)
    }

    /// The folder, and the right to write to it.
    pub(super) fn store(&self) -> (&Store, &Lock) {
        (&self.store, &self.lock)
    }
}

/// The key of an account, a new one if there is none. Blocks.
fn account_key(store: &Store, lock: &Lock, file: &str) -> Result<AccountKey, Failure> {
    let of_store = |error: std::io::Error| Failure::of_store(&error);
    if let Some(der) = store.read(file).map_err(of_store)? {
        let broken = || format!("{file} in the store holds no key: remove the file");
        return AccountKey::from_pkcs8(&der).ok_or_else(|| Failure::new(FaultOf::Gate, broken()));
    }
    let unable = |_| Failure::new(FaultOf::Gate, "no account key can be made");
    let (key, der) = AccountKey::generate().map_err(unable)?;
    store.write(lock, file, &der).map_err(of_store)?;
    Ok(key)
}

/// A client that checks servers so. Blocks.
pub(super) fn client(tls: UpstreamTls) -> Result<Client, Failure> {
    let connector = Connector::new(&tls).map_err(|error| {
        let text = error.to_string().replace("`tls.ca`", "`root` of `ca`");
        Failure::new(FaultOf::Gate, text)
    })?;
    Ok(Client::new(connector.client_config()))
}

/// The file with the record of a name.
pub(super) fn record_file(name: &str) -> String {
    format!("attempts/{}.json", file_name(name))
}

/// The file with the key of an order that is under way.
pub(super) fn key_file(name: &str) -> String {
    format!("pending/{}", file_name(name))
}

/// The time in seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn cannot_use(store: &Store, error: &std::io::Error) -> Failure {
    let reason = store.explain(error);
    match (error.kind(), store.others()) {
        (std::io::ErrorKind::WouldBlock, Some((interval, _))) => {
            Failure { retry_after: Some(interval), ..Failure::new(FaultOf::Turn, reason) }
        }
        _ => Failure::new(FaultOf::Gate, reason),
    }
}
