//! Follows the plans of a gate: keeps a task for each name for which certificates are ordered.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_lite::FutureExt;
use smol::channel::{Receiver, Sender, bounded, unbounded};
use smol::{Task, Timer};

use super::answers::{self, Question, Told};
use super::check::warn_of_place;
use super::context::{Context, now};
use super::events::{self, Events};
use super::fleet;
use super::name::Name;
use super::order::certified;
use super::protocol::x509::LeafKey;
use super::shared::{Ask, Shared, View};
use super::stored::{newest_of, stores};
use crate::config::plan::{Orders, WhileWaiting};
use crate::metrics::{Counters, NameState};
use crate::tls::Issued;

/// The longest wait for the end of all work.
const END_TIME_MAX: Duration = Duration::from_secs(3);

/// Orders certificates. Everything ends when this is dropped.
pub struct Manager {
    shared: Arc<Shared>,
    wishes: Sender<Wish>,
    /// The shared parts at each CA of the plan that is followed.
    contexts: Arc<Mutex<Contexts>>,
    /// The settings of the last load.
    loaded: ArcSwapOption<Orders>,
    _task: Task<()>,
    /// Runs programs after events.
    _events: Task<()>,
}

/// The shared parts, for each CA.
pub(super) type Contexts = Arc<[Arc<Context>]>;

/// The wish of a plan.
struct Wish {
    orders: Option<Arc<Orders>>,
    names: BTreeSet<Arc<str>>,
    /// Closed when the wish is carried out.
    _done: Option<Sender<()>>,
}

/// The tasks of one configuration.
struct Service {
    contexts: Contexts,
    tasks: HashMap<Arc<str>, Task<()>>,
    /// Follows the gates that share the store, for each CA.
    others: Vec<Task<()>>,
}

impl Manager {
    /// A manager that orders nothing yet. Certificates go to `issued`; `changed` is called after each.
    pub fn new(issued: Arc<Issued>, counters: Arc<Counters>, changed: Box<dyn Fn() + Send + Sync>) -> Self {
        let (views, asked) = (Mutex::default(), Mutex::default());
        let (events, told) = Events::new();
        let shared = Arc::new(Shared { issued, counters, events, changed, views, wishes: asked });
        let (wishes, received) = unbounded();
        let contexts = Arc::new(Mutex::new(Contexts::from(Vec::new())));
        let task = smol::spawn(follow(shared.clone(), received, Arc::clone(&contexts)));
        Self {
            shared,
            wishes,
            contexts,
            loaded: ArcSwapOption::empty(),
            _task: task,
            _events: smol::spawn(events::run(told)),
        }
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
        let is_other = differs(|before, now| before.cas != now.cas || before.store != now.store);
        if is_other {
            warn_of_place(&orders.store);
            issued.set_proof(fleet::proof_of(&orders.store));
        }
        let (stores, time) = (stores(orders, Some(&self.shared.counters)), now().cast_signed());
        let mut found = Vec::new();
        for name in names.filter(|name| is_other || issued.validity(name).is_none()) {
            let (newest, refused) = newest_of(stores.iter(), name, time);
            found.extend(newest.map(|(_, kept)| (name, kept.chain, kept.key)));
            for why in refused {
                tracing::warn!(name, "a certificate in {} is not used: {why}", orders.store);
            }
        }
        for (name, why) in issued.serve_all(&found, time, is_other) {
            tracing::warn!(name, "the certificate in {} is not used: {why}", orders.store);
        }
        self.loaded.store(Some(Arc::new(orders.clone())));
    }

    /// Orders certificates for exactly these names from now on.
    pub fn follow<'n>(&self, orders: Option<&Orders>, names: impl Iterator<Item = &'n str>) {
        let orders = orders.map(|orders| Arc::new(orders.clone()));
        // The channel is open as long as the task runs.
        let _ = self.wishes.try_send(Wish { orders, names: names.map(Arc::from).collect(), _done: None });
    }

    /// Ends all work. The future waits until other gates may order, or for [`END_TIME_MAX`].
    pub fn stop(&self) -> impl Future<Output = ()> + use<> {
        let (done, ended) = bounded(1);
        let _ = self.wishes.try_send(Wish { orders: None, names: BTreeSet::new(), _done: Some(done) });
        async move {
            let late = async {
                Timer::after(END_TIME_MAX).await;
            };
            let over = async {
                let _ = ended.recv().await;
            };
            over.or(late).await;
        }
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
        match self.shared.ask(name, wish) {
            true => Ok(()),
            false => Err(format!("no certificate is ordered for {name}")),
        }
    }
}

impl Manager {
    /// Answers a question of an operator, which may take minutes.
    ///
    /// # Errors
    /// No certificates are ordered for the name.
    pub async fn answer(&self, question: Question) -> Result<Told, String> {
        let contexts = self.contexts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let name = match &question {
            Question::Rollover => return Ok(answers::rollover(&contexts).await),
            Question::Check(name) | Question::Test(name) | Question::Dns(name) => name,
        };
        let views = self.views();
        let Some(view) = views.iter().find(|view| *view.name == **name) else {
            return Err(format!("no certificate is ordered for {name}"));
        };
        Ok(match question {
            Question::Check(_) => answers::check(&contexts, &view.name).await,
            Question::Test(_) => answers::test(&contexts, &view.name).await,
            Question::Dns(_) | Question::Rollover => answers::dns(&contexts, &view.name).await,
        })
    }
}

/// Carries out the wishes, the newest one if there are several.
async fn follow(shared: Arc<Shared>, wishes: Receiver<Wish>, contexts: Arc<Mutex<Contexts>>) {
    let mut service: Option<Service> = None;
    while let Ok(mut wish) = wishes.recv().await {
        while let Ok(newer) = wishes.try_recv() {
            wish = newer;
        }
        let keeps = |service: &Service| wish.orders.as_ref() == Some(&service.contexts[0].orders);
        if !service.as_ref().is_some_and(keeps) {
            if let Some(ended) = service.take() {
                ended.end().await;
            }
            *shared.views.lock().unwrap_or_else(PoisonError::into_inner) = BTreeMap::new();
            *shared.wishes.lock().unwrap_or_else(PoisonError::into_inner) = HashMap::new();
            service = wish.orders.take().map(|orders| Service::new(orders, &shared));
            let now = service.as_ref().map(|service| service.contexts.clone());
            *contexts.lock().unwrap_or_else(PoisonError::into_inner) = now.unwrap_or_default();
        }
        if let Some(service) = &mut service {
            service.set_names(&wish.names);
        } else {
            shared.count(&BTreeMap::new());
        }
    }
}

impl Service {
    fn new(orders: Arc<Orders>, shared: &Arc<Shared>) -> Self {
        let lock = Arc::default();
        let context =
            |of_ca| Arc::new(Context::new(orders.clone(), of_ca, shared.clone(), Arc::clone(&lock)));
        let stores = stores(&orders, Some(&shared.counters));
        let contexts: Contexts = stores.into_iter().enumerate().map(context).collect();
        shared.counters.set_authorities(contexts.iter().map(|context| context.authority().name()));
        let others = contexts.iter().map(|context| smol::spawn(fleet::follow(context.clone()))).collect();
        Self { contexts, tasks: HashMap::new(), others }
    }

    /// Ends all tasks, and lets other gates order.
    async fn end(self) {
        for task in self.others.into_iter().chain(self.tasks.into_values()) {
            task.cancel().await;
        }
        for context in &*self.contexts {
            let store = context.store.clone();
            smol::unblock(move || store.give_back()).await;
        }
    }

    /// Ends the tasks of names that are gone, and starts those of new names.
    fn set_names(&mut self, names: &BTreeSet<Arc<str>>) {
        let shared = &self.contexts[0].shared;
        let mut views = shared.views.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tasks = shared.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        self.tasks.retain(|name, _| names.contains(name));
        views.retain(|name, _| names.contains(name));
        tasks.retain(|name, _| names.contains(name));
        for name in names {
            if self.tasks.contains_key(name) {
                continue;
            }
            let (ask, wishes) = bounded(1);
            tasks.insert(name.clone(), ask);
            let until = shared.issued.validity(name).map(|validity| validity.not_after);
            let state = if until.is_some() { NameState::Valid } else { NameState::Waiting };
            let view = View {
                name: name.clone(),
                state,
                until,
                next: None,
                error: None,
                ca: None,
                history: Vec::new(),
            };
            views.insert(name.clone(), view);
            let kept = Name { name: name.clone(), contexts: self.contexts.clone(), wishes };
            self.tasks.insert(name.clone(), smol::spawn(kept.keep()));
        }
        shared.count(&views);
    }
}

/// The certificate for names that wait for their first one. It signs itself.
fn stand_in() -> Option<Arc<rustls::sign::CertifiedKey>> {
    let (key, der) = LeafKey::generate().ok()?;
    let certificate = key.self_signed("smolgate waits for a certificate", &[]).ok()?;
    certified(vec![certificate.into()], der).ok()
}
