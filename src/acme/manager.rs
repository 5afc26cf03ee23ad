//! Follows the plans of a gate: keeps a task for each name for which certificates are ordered.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use smol::Task;
use smol::channel::{Receiver, Sender, bounded, unbounded};

pub use super::context::{Ask, View};
use super::context::{Context, Shared, now};
use super::name::Name;
use super::order::certified;
use super::protocol::x509::LeafKey;
use crate::config::plan::{Orders, WhileWaiting};
use crate::metrics::{Counters, NameState};
use crate::store::Store;
use crate::tls::Issued;

/// Orders certificates. Everything ends when this is dropped.
pub struct Manager {
    shared: Arc<Shared>,
    wishes: Sender<Wish>,
    /// The channel to the task of each name.
    renewals: Arc<Mutex<HashMap<Arc<str>, Sender<Ask>>>>,
    /// The settings of the last load.
    loaded: ArcSwapOption<Orders>,
    _task: Task<()>,
}

/// The wish of a plan.
struct Wish {
    orders: Option<Arc<Orders>>,
    names: BTreeSet<Arc<str>>,
}

/// The tasks of one configuration.
struct Service {
    context: Arc<Context>,
    tasks: HashMap<Arc<str>, Task<()>>,
}

impl Manager {
    /// A manager that orders nothing yet. Certificates go to `issued`; `changed` is called after each.
    pub fn new(issued: Arc<Issued>, counters: Arc<Counters>, changed: Box<dyn Fn() + Send + Sync>) -> Self {
        let shared = Arc::new(Shared { issued, counters, changed, views: Mutex::default() });
        let (wishes, received) = unbounded();
        let renewals = Arc::default();
        let task = smol::spawn(follow(shared.clone(), received, Arc::clone(&renewals)));
        Self { shared, wishes, renewals, loaded: ArcSwapOption::empty(), _task: task }
    }

    /// Serves the certificates of the store for these names, and prepares the one for names that wait. Changes nothing
    /// for other names, and orders nothing. It takes no lock and may run twice at once. Blocks.
    pub fn load<'n>(&self, orders: Option<&Orders>, names: impl Iterator<Item = &'n str>) {
        let Some(orders) = orders else { return };
        let (issued, before) = (&self.shared.issued, self.loaded.load());
        let differs = |is_other: fn(&Orders, &Orders) -> bool| {
            before.as_deref().is_none_or(|before| is_other(before, orders))
        };
        if differs(|before, now| before.while_waiting != now.while_waiting) {
            let wanted = orders.while_waiting == WhileWaiting::SelfSigned;
            issued.set_stand_in(wanted.then(stand_in).flatten());
        }
        let is_other = differs(|before, now| before.ca != now.ca || before.store != now.store);
        let store = Store::new(&orders.store, &orders.ca.folder());
        let mut found = Vec::new();
        for name in names.filter(|name| is_other || issued.validity(name).is_none()) {
            match store.certificate(name) {
                Ok(kept) => found.extend(kept.map(|kept| (name, kept.chain, kept.key))),
                Err(error) => tracing::warn!(name, "the certificate in the store cannot be read: {error}"),
            }
        }
        for (name, why) in issued.serve_all(&found, now().cast_signed(), is_other) {
            tracing::warn!(name, "the certificate in {} is not used: {why}", orders.store.display());
        }
        self.loaded.store(Some(Arc::new(orders.clone())));
    }

    /// Orders certificates for exactly these names from now on.
    pub fn follow<'n>(&self, orders: Option<&Orders>, names: impl Iterator<Item = &'n str>) {
        let orders = orders.map(|orders| Arc::new(orders.clone()));
        // The channel is open as long as the task runs.
        let _ = self.wishes.try_send(Wish { orders, names: names.map(Arc::from).collect() });
    }

    /// The state of each name, sorted.
    pub fn views(&self) -> Vec<View> {
        self.shared.views.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Orders a new certificate for a name now, within the budgets. With [`Ask::Revoke`], the one that is served is revoked
    /// before.
    ///
    /// # Errors
    /// No certificates are ordered for the name.
    pub fn ask(&self, name: &str, wish: Ask) -> Result<(), String> {
        let renewals = self.renewals.lock().unwrap_or_else(PoisonError::into_inner);
        match renewals.get(name) {
            Some(renew) => {
                // A full channel is fine: the wish is known already.
                let _ = renew.try_send(wish);
                Ok(())
            }
            None => Err(format!("no certificate is ordered for {name}")),
        }
    }
}

/// Carries out the wishes, the newest one if there are several.
async fn follow(
    shared: Arc<Shared>,
    wishes: Receiver<Wish>,
    renewals: Arc<Mutex<HashMap<Arc<str>, Sender<Ask>>>>,
) {
    let mut service: Option<Service> = None;
    while let Ok(mut wish) = wishes.recv().await {
        while let Ok(newer) = wishes.try_recv() {
            wish = newer;
        }
        let keeps = |service: &Service| wish.orders.as_ref() == Some(&service.context.orders);
        if !service.as_ref().is_some_and(keeps) {
            if let Some(ended) = service.take() {
                for task in ended.tasks.into_values() {
                    task.cancel().await;
                }
            }
            *shared.views.lock().unwrap_or_else(PoisonError::into_inner) = BTreeMap::new();
            *renewals.lock().unwrap_or_else(PoisonError::into_inner) = HashMap::new();
            service = wish.orders.map(|orders| Service {
                context: Arc::new(Context::new(orders, shared.clone())),
                tasks: HashMap::new(),
            });
        }
        if let Some(service) = &mut service {
            service.set_names(&wish.names, &renewals);
        } else {
            shared.count(&BTreeMap::new());
        }
    }
}

impl Service {
    /// Ends the tasks of names that are gone, and starts those of new names.
    fn set_names(&mut self, names: &BTreeSet<Arc<str>>, renewals: &Mutex<HashMap<Arc<str>, Sender<Ask>>>) {
        let mut views = self.context.shared.views.lock().unwrap_or_else(PoisonError::into_inner);
        let mut renewals = renewals.lock().unwrap_or_else(PoisonError::into_inner);
        self.tasks.retain(|name, _| names.contains(name));
        views.retain(|name, _| names.contains(name));
        renewals.retain(|name, _| names.contains(name));
        for name in names {
            if self.tasks.contains_key(name) {
                continue;
            }
            let (ask, wishes) = bounded(1);
            renewals.insert(name.clone(), ask);
            let until = self.context.shared.issued.validity(name).map(|validity| validity.not_after);
            let state = if until.is_some() { NameState::Valid } else { NameState::Waiting };
            views.insert(name.clone(), View { name: name.clone(), state, until, next: None, error: None });
            let kept = Name { name: name.clone(), context: self.context.clone(), wishes };
            self.tasks.insert(name.clone(), smol::spawn(kept.keep()));
        }
        self.context.shared.count(&views);
    }
}

/// The certificate for names that wait for their first one. It signs itself.
fn stand_in() -> Option<Arc<rustls::sign::CertifiedKey>> {
    let (key, der) = LeafKey::generate().ok()?;
    let certificate = key.self_signed("smolgate waits for a certificate", &[]).ok()?;
    certified(vec![certificate.into()], der).ok()
}
