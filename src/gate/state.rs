//! What a gate has while it runs.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use futures_lite::FutureExt;
use smol::Task;
use smol::channel::{Receiver, Sender, bounded};

use super::background::Background;
use super::error::{GateError, Loader, OnPlan};
use super::sockets::{self, ListenKey, NewSockets};
use super::workers::{RollCall, Workers};
use crate::config::plan::{AccessLog as AccessPlan, Plan};
use crate::config::{Diagnostic, Diagnostics, Loaded, Severity, SourceFiles};
use crate::generation::{Generation, GenerationHandle, Permits, certificates};
use crate::internal_api::{Phase, Server};
use crate::log::AccessLog;
use crate::metrics::Counters;
use crate::tls::{self, TicketKeys};
use crate::upstream::NameCache;
use crate::watch;

/// What everyone who has to do with a gate shares.
pub(super) struct GateState {
    loader: Loader,
    /// Where reloads do what takes long.
    pub(super) background: Background,
    pub(super) on_plan: OnPlan,
    pub(super) counters: Arc<Counters>,
    pub(super) name_cache: NameCache,
    tickets: TicketKeys,
    pub(super) started: SystemTime,
    /// What is served; `None` only before the start.
    current: ArcSwapOption<Generation>,
    draining: AtomicBool,
    /// The workers that serve it. Not behind `running`: they are asked during a reload, too.
    roll_call: Mutex<RollCall>,
    /// Locked for the whole of a start, a reload or a stop: they never run at the same time.
    pub(super) running: smol::lock::Mutex<Option<Running>>,
    /// What the last load read, whether it was valid or not.
    sources: Mutex<Arc<SourceFiles>>,
    /// Closed when the gate stops. Nothing is ever sent.
    stopping: (Sender<Infallible>, Receiver<Infallible>),
    /// Told of every load, for whoever watches.
    pub(super) reloaded: (Sender<()>, Receiver<()>),
    /// Where each open door accepts.
    addresses: Mutex<HashMap<ListenKey, SocketAddr>>,
}

/// What runs.
pub(super) struct Running {
    pub(super) workers: Workers,
    /// The workers of before a restart, while they drain: at most one crew.
    pub(super) leaving: Vec<Workers>,
    pub(super) permits: Permits,
    pub(super) internal: Server,
    pub(super) access: Option<(AccessPlan, AccessLog)>,
    /// Ends with what it is a part of.
    pub(super) watching: Task<()>,
}

/// What a load read and what became of it.
pub(super) struct LoadResult {
    loaded: Result<Loaded, Diagnostics>,
    pub(super) sources: SourceFiles,
}

impl GateState {
    /// # Errors
    /// When no thread can be started.
    pub(super) fn new(
        loader: Loader,
        counters: Arc<Counters>,
        on_plan: OnPlan,
        name_cache: NameCache,
    ) -> Result<Arc<Self>, GateError> {
        let background = Background::start()
            .map_err(|error| GateError::System("the thread for reloads cannot be started".into(), error))?;
        Ok(Arc::new(Self {
            loader,
            background,
            on_plan,
            counters,
            name_cache,
            tickets: TicketKeys::default(),
            started: SystemTime::now(),
            current: ArcSwapOption::empty(),
            draining: AtomicBool::new(false),
            roll_call: Mutex::default(),
            running: smol::lock::Mutex::new(None),
            sources: Mutex::default(),
            stopping: bounded(1),
            reloaded: bounded(1),
            addresses: Mutex::default(),
        }))
    }

    /// Marks the gate as draining, and gives up what waits in [`GateState::unless_stopping`].
    pub(super) fn begin_stop(&self) {
        self.draining.store(true, Ordering::Release);
        self.stopping.0.close();
    }

    /// What `work` gives, or `None` as soon as the gate stops: `work` is dropped then, wherever it is.
    pub(super) async fn unless_stopping<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let stopping = async {
            // Nothing can be sent: this waits for the end of the channel.
            let _ = self.stopping.1.recv().await;
            None
        };
        stopping.or(async { Some(work.await) }).await
    }

    /// Reads the configuration; nobody is told, nothing is remembered. Blocks.
    pub(super) fn read(&self) -> LoadResult {
        let loaded = (self.loader)();
        let mut sources = match &loaded {
            Ok(loaded) => loaded.sources.clone(),
            Err(diagnostics) => diagnostics.sources().clone(),
        };
        // Before anybody uses them: what is written from now on is a change.
        for file in loaded.iter().flat_map(|loaded| certificates::files_named_by(&loaded.plan)) {
            watch::note(&mut sources, &file, tls::may_count);
        }
        LoadResult { loaded, sources }
    }

    /// Takes what was read for the last load; warnings, and why services were rejected, go to the log.
    pub(super) fn accept(&self, LoadResult { loaded, sources }: LoadResult) -> Result<Arc<Plan>, GateError> {
        *self.sources.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(sources);
        let loaded = loaded.map_err(GateError::Configuration)?;
        loaded.warnings.iter().for_each(log);
        Ok(Arc::new(loaded.plan))
    }

    /// What the last load read, whether it was valid or not.
    pub(super) fn sources(&self) -> Arc<SourceFiles> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same, if the plan in force wants it watched.
    pub(super) fn watched(&self) -> Option<Arc<SourceFiles>> {
        self.current()?.plan.watch.then(|| self.sources())
    }

    /// Builds a generation; nobody is told. Blocks: it reads certificates and authorities.
    pub(super) fn build(
        &self,
        number: u64,
        plan: Arc<Plan>,
        access: Option<AccessLog>,
    ) -> Result<Arc<Generation>, GateError> {
        let before = self.current();
        let generation =
            Generation::new(number, plan, &self.name_cache, &self.tickets, access, before.as_deref());
        let invalid = |errors| GateError::Configuration(Diagnostics::new(certificates::of_upstreams(errors)));
        Ok(Arc::new(generation.map_err(invalid)?))
    }

    /// Hands a generation to the workers, who have prepared what is `new`, and makes it the current one.
    pub(super) async fn install(
        &self,
        all_workers: &[&Workers],
        generation: &Arc<Generation>,
        new: NewAddresses,
    ) {
        let (handle, returned) = GenerationHandle::new(generation.clone());
        smol::spawn(self.background.clone().drop_when_unused(generation.clone(), returned)).detach();
        for workers in all_workers {
            workers.install(&handle).await;
        }
        let wanted = sockets::listen_keys(&generation.plan);
        let mut addresses = self.addresses();
        addresses.extend(new);
        addresses.retain(|listen_key, _| wanted.iter().any(|(key, _)| key == listen_key));
        drop(addresses);
        // The first are those that serve from now on.
        if let Some(workers) = all_workers.first() {
            *self.roll_call.lock().unwrap_or_else(PoisonError::into_inner) = workers.roll_call();
        }
        self.current.store(Some(generation.clone()));
        self.counters.set_rejected_services(generation.plan.rejected_services as u64);
        self.counters.set_generation(generation.number);
        let served_instead = certificates::served_instead(generation);
        self.counters.set_certificates(certificates::expiries(generation), served_instead);
    }

    /// Each open address, with the name of its listener.
    pub(super) fn listening(&self) -> Vec<(String, SocketAddr)> {
        let Some(generation) = self.current() else { return Vec::new() };
        self.opened(&generation).into_iter().map(|(name, address)| (name.to_owned(), address)).collect()
    }

    fn opened<'a>(&self, generation: &'a Generation) -> Vec<(&'a str, SocketAddr)> {
        let addresses = self.addresses();
        let listen_keys = sockets::listen_keys(&generation.plan).into_iter();
        listen_keys
            .filter_map(|(listen_key, index)| {
                Some((&*generation.plan.listeners[index].name, *addresses.get(&listen_key)?))
            })
            .collect()
    }

    pub(super) fn addresses(&self) -> MutexGuard<'_, HashMap<ListenKey, SocketAddr>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn address(&self, listener: &str) -> Option<SocketAddr> {
        let generation = self.current()?;
        self.opened(&generation).into_iter().find(|(name, _)| *name == listener).map(|(_, address)| address)
    }

    pub(super) async fn internal_address(&self) -> Option<SocketAddr> {
        self.running.lock().await.as_ref()?.internal.address()
    }

    pub(super) fn current(&self) -> Option<Arc<Generation>> {
        self.current.load_full()
    }

    /// Where in its life the gate is. Its workers are asked, so that one that is stuck is not taken for ready.
    pub(super) async fn phase(&self) -> Phase {
        match (self.draining.load(Ordering::Acquire), self.current.load().is_some()) {
            (true, _) => Phase::Draining,
            (false, false) => Phase::Starting,
            (false, true) if self.roll_call().all_answer().await => Phase::Ready,
            (false, true) => Phase::Unresponsive,
        }
    }

    fn roll_call(&self) -> RollCall {
        self.roll_call.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn reopen_logs(&self) {
        if let Some(access) = self.current().and_then(|generation| generation.access.clone()) {
            access.reopen();
        }
    }
}

/// Doors that a generation opens, and where.
pub(super) type NewAddresses = Vec<(ListenKey, SocketAddr)>;

/// Has the workers prepare what was bound: the last step towards a generation that can fail.
pub(super) async fn prepare(workers: &Workers, sockets: NewSockets) -> Result<NewAddresses, GateError> {
    let new = sockets.iter().map(|(listen_key, (address, _))| (listen_key.clone(), *address)).collect();
    let prepared = workers.prepare(sockets).await;
    prepared.map_err(|error| GateError::System("a worker cannot serve the configuration".into(), error))?;
    Ok(new)
}

pub(super) fn start_workers(
    count: usize,
    counters: &Arc<Counters>,
    permits: &Permits,
) -> Result<Workers, GateError> {
    Workers::start(count, counters, permits)
        .map_err(|error| GateError::System("workers cannot be started".into(), error))
}

/// Tells what is wrong with a generation that serves all the same. Blocks: it reads the lines again that name
/// what is wrong.
pub(super) fn log_problems(generation: &Generation) {
    certificates::diagnostics(&generation.problems).iter().for_each(log);
}

fn log(diagnostic: &Diagnostic) {
    let text = diagnostic.render(false);
    match diagnostic.severity {
        Severity::Error => tracing::error!("{}", text.trim_end()),
        Severity::Warning => tracing::warn!("{}", text.trim_end()),
    }
}

/// The access log of a plan, if it has one. Blocks: it opens a file.
pub(super) fn start_access_log(
    plan: &Plan,
    counters: &Arc<Counters>,
) -> Result<Option<(AccessPlan, AccessLog)>, GateError> {
    let Some(access) = &plan.log.access else { return Ok(None) };
    let log = AccessLog::start(access, counters.clone());
    let log = log.map_err(|error| GateError::System("`access_log` cannot be written".into(), error))?;
    Ok(Some((access.clone(), log)))
}

/// One worker a core, unless the plan says otherwise.
pub(super) fn worker_count(plan: &Plan) -> usize {
    plan.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}
