//! The parts that all names share: the folder, the account, the budgets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use smol::lock::Semaphore;

use super::attempts::{Orders as OrderTimes, Record, ca_back_off};
use super::ca::{Ca, Session};
use super::dns::Publisher;
use super::failure::{Failure, FaultOf};
use super::protocol::jws::AccountKey;
use crate::config::plan::{Orders, UpstreamTls};
use crate::metrics::{Counters, NameState};
use crate::net::Client;
use crate::store::{Lock, Store, file_name};
use crate::tls::{Connector, Issued};

/// Orders that run at once.
const ORDERS_MAX: usize = 20;

/// The file with the key of the account.
const ACCOUNT_KEY: &str = "account-key";
/// The file with the key of the account at the test system.
const STAGING_KEY: &str = "staging-account-key";
/// The file with the times of the last orders.
const ORDER_TIMES: &str = "orders.json";

/// The state of one name, as a person wants to know it.
#[derive(Clone, Debug)]
pub struct View {
    /// The name.
    pub name: Arc<str>,
    /// Its state.
    pub state: NameState,
    /// The end of the certificate's life, in seconds since 1970.
    pub until: Option<i64>,
    /// The next attempt, in seconds since 1970.
    pub next: Option<u64>,
    /// The reason of the last failure.
    pub error: Option<String>,
}

/// The wish of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A new certificate, now.
    Renew,
    /// The revocation of the certificate, and a new one.
    Revoke,
}

/// The parts that outlive a change of the configuration.
pub(super) struct Shared {
    pub(super) issued: Arc<Issued>,
    pub(super) counters: Arc<Counters>,
    /// Called after another certificate is served.
    pub(super) changed: Box<dyn Fn() + Send + Sync>,
    pub(super) views: Mutex<BTreeMap<Arc<str>, View>>,
}

/// The parts that all names of one configuration share.
pub(super) struct Context {
    pub(super) orders: Arc<Orders>,
    pub(super) store: Store,
    pub(super) shared: Arc<Shared>,
    pub(super) slots: Semaphore,
    opened: smol::lock::Mutex<Option<Arc<Opened>>>,
    trouble: Mutex<Trouble>,
}

/// The folder and the account, once they can be used.
pub(super) struct Opened {
    lock: Lock,
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

impl Shared {
    /// Changes what is said of a name. A name that is gone stays gone.
    pub(super) fn tell(&self, view: View) {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = views.get_mut(&view.name) {
            *known = view;
        }
        self.count(&views);
    }

    pub(super) fn count(&self, views: &BTreeMap<Arc<str>, View>) {
        self.counters.set_ordered_names(views.values().map(|view| view.state));
    }
}

impl Context {
    pub(super) fn new(orders: Arc<Orders>, shared: Arc<Shared>) -> Self {
        let store = Store::new(&orders.store, &orders.ca.folder());
        Self {
            orders,
            store,
            shared,
            slots: Semaphore::new(ORDERS_MAX),
            opened: smol::lock::Mutex::new(None),
            trouble: Mutex::default(),
        }
    }

    /// The folder, the account and the addresses of the CA. If one of them cannot be had, no name asks for it before
    /// a wait is over.
    pub(super) async fn connect(&self) -> Result<(Arc<Opened>, Arc<Session>), Failure> {
        // Names ask one after the other: the first failure is that of all.
        let mut opened = self.opened.lock().await;
        if let Some(failure) = self.trouble() {
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
        Ok((ready, session))
    }

    async fn open_folder(&self, opened: &mut Option<Arc<Opened>>) -> Result<Arc<Opened>, Failure> {
        if let Some(ready) = &*opened {
            return Ok(ready.clone());
        }
        let (orders, store) = (self.orders.clone(), self.store.clone());
        let ready = smol::unblock(move || Opened::new(orders, store)).await?;
        Ok(opened.insert(Arc::new(ready)).clone())
    }

    /// The failure of a folder that cannot be read or written.
    pub(super) fn cannot_use(&self, error: &std::io::Error) -> Failure {
        cannot_use(&self.store, error)
    }

    /// The failure of all names, until its wait is over.
    fn trouble(&self) -> Option<Failure> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let left = trouble.until.checked_sub(now()).filter(|left| *left > 0)?;
        Some(Failure { retry_after: Some(Duration::from_secs(left)), ..trouble.failure.clone()? })
    }

    fn note(&self, failure: Failure) -> Failure {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.failures = trouble.failures.saturating_add(1);
        let asked = failure.retry_after.unwrap_or_default();
        let wait = asked.max(Duration::from_secs(ca_back_off(trouble.failures)));
        trouble.until = now() + wait.as_secs();
        trouble.failure = Some(failure.clone());
        tracing::warn!(ca = %self.orders.ca.folder(), "no certificate can be ordered: {}", failure.reason);
        Failure { retry_after: Some(wait), ..failure }
    }
}

impl Opened {
    /// Takes the lock and reads the keys of the accounts. Blocks.
    fn new(orders: Arc<Orders>, store: Store) -> Result<Self, Failure> {
        let lock = store.lock().map_err(|error| cannot_use(&store, &error))?;
        let of_store = |error: std::io::Error| Failure::of_store(&error);
        let times = OrderTimes::read(store.read(ORDER_TIMES).map_err(of_store)?.as_deref());
        let publisher = match &orders.dns {
            Some(dns) => Some(Publisher::new(dns, client(None)?)),
            None => None,
        };
        let at_ca = client(orders.ca.root.clone())?;
        let staging = match &orders.ca.staging {
            Some(url) => {
                let key = account_key(&store, &lock, STAGING_KEY)?;
                Some(Ca::new(at_ca.clone(), orders.clone(), url, key))
            }
            None => None,
        };
        let key = account_key(&store, &lock, ACCOUNT_KEY)?;
        let ca = Ca::new(at_ca, orders.clone(), &orders.ca.directory, key);
        Ok(Self { lock, store, ca, staging, publisher, times: smol::lock::Mutex::new(times) })
    }

    /// Writes a record. It is on the disk when this returns.
    pub(super) async fn write(self: &Arc<Self>, name: &Arc<str>, record: &Record) -> Result<(), Failure> {
        let (bytes, file) = (record.bytes(), record_file(name));
        self.blocking(move |opened| opened.store.write(&opened.lock, &file, &bytes)).await
    }

    /// Counts an order, on the disk. If there were too many, it waits for the next attempt.
    pub(super) async fn take_order(self: &Arc<Self>) -> Result<(), Failure> {
        let now = now();
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

    /// Runs work with the store on a thread that may block.
    pub(super) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Opened) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let opened = self.clone();
        smol::unblock(move || work(&opened)).await.map_err(|error| Failure::of_store(&error))
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

/// A client that trusts the authorities of a file, or those of the system. Blocks.
fn client(root: Option<PathBuf>) -> Result<Client, Failure> {
    let connector = Connector::new(&UpstreamTls { ca: root, ..UpstreamTls::default() }).map_err(|error| {
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
    let path = store.path().display();
    let user = rustix::process::getuid().as_raw();
    let reason = match error.kind() {
        std::io::ErrorKind::WouldBlock => format!("another gate orders with the folder {path}"),
        _ => format!(
            "{path} cannot be used by user {user} ({error}): nothing is ordered, because it could not be kept"
        ),
    };
    Failure::new(FaultOf::Gate, reason)
}
