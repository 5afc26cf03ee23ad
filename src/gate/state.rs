//! The state of a running gate.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use futures_lite::FutureExt;
use smol::Task;
use smol::channel::{Receiver, Sender, bounded};

use super::background::Background;
use super::error::{ChangedLoader, Explainer, GateError, OnPlan};
use super::services::{KeyService, PluginService, Services};
use super::sockets::{self, ListenKey, NewSockets};
use super::workers::{RollCall, Workers};
use crate::config::plan::{AccessLog as AccessPlan, AccessLogTo, Plan};
use crate::config::{Content, Diagnostic, Diagnostics, Loaded, Overlay, Severity, SourceFiles};
use crate::generation::{Generation, GenerationHandle, Permits, certificates};
use crate::health::Checker;
use crate::internal_api::{Phase, Server};
use crate::log::{AccessLog, AccessSwitch, Tail, TailObserver};
use crate::metrics::Counters;
use crate::tls::{self, Issued, TicketKeys};
use crate::upstream::NameCache;
use crate::watch;

/// The state that all tasks of a gate share.
pub(super) struct GateState {
    loader: ChangedLoader,
    /// The changes of the control API that hold.
    overlay: Mutex<Arc<Overlay>>,
    /// Threads for the long work of reloads.
    pub(super) background: Background,
    pub(super) on_plan: OnPlan,
    pub(super) counters: Arc<Counters>,
    pub(super) name_cache: NameCache,
    pub(super) health: Arc<Checker>,
    tickets: TicketKeys,
    /// Certificates that come while the gate runs. All generations share it.
    issued: Arc<Issued>,
    pub(super) services: Services,
    pub(super) keys: KeyService,
    pub(super) plugins: PluginService,
    /// The readers of exchanges as they end.
    pub(super) tail: Arc<Tail>,
    /// Set once, by the command line.
    pub(super) explainer: OnceLock<Explainer>,
    pub(super) started: SystemTime,
    /// The generation that is served. `None` only before the start.
    current: ArcSwapOption<Generation>,
    draining: AtomicBool,
    /// Asks the workers that serve it. It is not inside of `running`, because it is used during a reload too.
    roll_call: Mutex<RollCall>,
    /// Locked during a whole start, reload or stop, so that two of them never overlap.
    pub(super) running: smol::lock::Mutex<Option<Running>>,
    /// The files that the last load read, valid or not.
    sources: Mutex<Arc<SourceFiles>>,
    /// Closes when the gate stops. Nothing is sent.
    stopping: (Sender<Infallible>, Receiver<Infallible>),
    /// Receives a message after every load, for the task that watches files.
    pub(super) reloaded: (Sender<()>, Receiver<()>),
    /// The address of each open listening socket.
    addresses: Mutex<HashMap<ListenKey, SocketAddr>>,
}

/// The running parts of a gate.
pub(super) struct Running {
    pub(super) workers: Workers,
    /// The workers before a restart, while they drain. At most one set.
    pub(super) leaving: Vec<Workers>,
    pub(super) permits: Permits,
    pub(super) internal: Server,
    pub(super) access: Option<(AccessPlan, AccessLog)>,
    /// Ends when this value is dropped.
    pub(super) watching: Task<()>,
    /// The health checks. They end when this value is dropped.
    pub(super) checking: Task<()>,
}

/// The result of a load, and the files that it read.
pub(super) struct LoadResult {
    pub(super) loaded: Result<Loaded, Diagnostics>,
    pub(super) sources: SourceFiles,
}

impl GateState {
    /// # Errors
    /// No thread can be started.
    pub(super) fn new(
        loader: ChangedLoader,
        counters: Arc<Counters>,
        on_plan: OnPlan,
        name_cache: NameCache,
    ) -> Result<Arc<Self>, GateError> {
        let background = Background::start()
            .map_err(|error| GateError::System("the thread for reloads cannot be started".into(), error))?;
        let issued = Arc::<Issued>::default();
        Ok(Arc::new_cyclic(|state: &Weak<Self>| Self {
            services: Services::new(issued.clone(), counters.clone(), certificates_changed(state.clone())),
            issued,
            keys: KeyService::new(),
            plugins: PluginService::new(counters.clone()),
            tail: Arc::default(),
            explainer: OnceLock::new(),
            loader,
            overlay: Mutex::default(),
            background,
            on_plan,
            counters,
            name_cache,
            health: Arc::default(),
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

    /// Marks the gate as draining, and cancels the work in [`GateState::unless_stopping`].
    pub(super) fn begin_stop(&self) {
        self.draining.store(true, Ordering::Release);
        self.stopping.0.close();
    }

    /// Runs `work` and returns its result. Returns `None` as soon as the gate stops; `work` is dropped then, at
    /// any await.
    pub(super) async fn unless_stopping<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let stopping = async {
            // Nothing can be sent, so `recv` returns when the channel closes.
            let _ = self.stopping.1.recv().await;
            None
        };
        stopping.or(async { Some(work.await) }).await
    }

    /// Reads the configuration, with the changes of the control API, and changes no state. Blocks.
    pub(super) fn read(&self) -> LoadResult {
        self.read_with(&self.overlay())
    }

    /// As [`GateState::read`], with these changes.
    pub(super) fn read_with(&self, overlay: &Overlay) -> LoadResult {
        let loaded = (self.loader)(overlay);
        let mut sources = match &loaded {
            Ok(loaded) => loaded.sources.clone(),
            Err(diagnostics) => diagnostics.sources().clone(),
        };
        // Note these files before they are read: everything that is written from now on is a change.
        for file in loaded.iter().flat_map(|loaded| certificates::files_named_by(&loaded.plan)) {
            watch::note(&mut sources, &file, tls::may_count);
        }
        LoadResult { loaded, sources }
    }

    /// Keeps `sources` as those of the last load. Logs warnings, and the reasons why services were rejected; returns
    /// those reasons too.
    pub(super) fn accept(&self, LoadResult { loaded, sources }: LoadResult) -> Result<Accepted, GateError> {
        *self.sources.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(sources);
        let loaded = loaded.map_err(GateError::Configuration)?;
        let errors = loaded.warnings.iter().filter_map(log).collect();
        Ok((Arc::new(loaded.plan), Arc::new(loaded.overlay), errors))
    }

    /// The changes of the control API that hold.
    pub(super) fn overlay(&self) -> Arc<Overlay> {
        self.overlay.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these changes hold.
    pub(super) fn set_overlay(&self, overlay: Arc<Overlay>) {
        *self.overlay.lock().unwrap_or_else(PoisonError::into_inner) = overlay;
    }

    /// Notes what the gate has written itself: it is no change.
    pub(super) fn note(&self, path: &Path, content: Content) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut sources).note(path.into(), content);
    }

    /// The files that the last load read, valid or not.
    pub(super) fn sources(&self) -> Arc<SourceFiles> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The files of the last load, if the current plan wants them watched.
    pub(super) fn watched(&self) -> Option<Arc<SourceFiles>> {
        self.current()?.plan.settings.watch.then(|| self.sources())
    }

    /// Builds a generation and changes no state. Blocks, because it reads certificates and authorities.
    pub(super) fn build(
        &self,
        number: u64,
        plan: Arc<Plan>,
        access: Option<AccessLog>,
    ) -> Result<Arc<Generation>, GateError> {
        let before = self.current();
        let (names, issued) = (&self.name_cache, &self.issued);
        let access = AccessSwitch::new(access, &self.tail);
        let generation =
            Generation::new(number, plan, names, &self.tickets, issued, access, before.as_deref());
        let invalid = |errors| GateError::Configuration(Diagnostics::new(certificates::of_upstreams(errors)));
        let generation = Arc::new(generation.map_err(invalid)?);
        let observer: Arc<dyn TailObserver> = generation.clone();
        self.tail.observe(Arc::downgrade(&observer));
        self.services.prepare(&generation);
        Ok(generation)
    }

    /// Hands a generation to the workers, which have prepared the `new` addresses, and makes it the current one.
    pub(super) async fn install(
        &self,
        all_workers: &[&Workers],
        generation: &Arc<Generation>,
        new: NewAddresses,
    ) {
        // Before the first request: the limits of a new upstream are those of none.
        let before = self.current();
        generation.upstream_table.begin_to_serve(before.as_ref().map(|before| &before.upstream_table));
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
        // The first ones serve from now on.
        if let Some(workers) = all_workers.first() {
            *self.roll_call.lock().unwrap_or_else(PoisonError::into_inner) = workers.roll_call();
        }
        self.current.store(Some(generation.clone()));
        self.health.follow(&generation.upstream_table);
        self.counters.set_rejected_services(generation.plan.rejected_services as u64);
        self.counters.set_generation(generation.number);
        self.note_upstreams(&generation.plan);
        self.count_certificates(generation);
        self.services.follow(generation);
        self.keys.follow(generation);
    }

    fn count_certificates(&self, generation: &Generation) {
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

    /// The phase of the gate's life. Asks the workers, so that a gate with a stuck worker does not count as ready.
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
        let Some(generation) = self.current() else { return };
        if let (Some(access), Some(plan)) = (generation.access.log(), &generation.plan.access_log)
            && let AccessLogTo::File(path) = &plan.to
        {
            access.reopen();
            tracing::info!("access log: {} is opened again", path.display());
        }
    }
}

/// The function that is called after another certificate is served.
fn certificates_changed(state: Weak<GateState>) -> impl Fn() + Send + Sync {
    move || {
        if let Some(state) = state.upgrade()
            && let Some(generation) = state.current()
        {
            state.count_certificates(&generation);
        }
    }
}

/// A plan, the changes of the control API in it, and errors of parts that are left out.
type Accepted = (Arc<Plan>, Arc<Overlay>, Vec<String>);

/// The addresses of new listening sockets.
pub(super) type NewAddresses = Vec<(ListenKey, SocketAddr)>;

/// Lets the workers prepare the new sockets. This is the last step of a reload that can fail.
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

/// Logs the problems of a generation that is served nevertheless, and returns the errors among them. Blocks, because it
/// reads the lines that name the files.
pub(super) fn log_problems(generation: &Generation) -> Vec<String> {
    certificates::diagnostics(&generation.problems).iter().filter_map(log).collect()
}

/// Logs a diagnostic. Returns its text if it is an error.
fn log(diagnostic: &Diagnostic) -> Option<String> {
    let text = diagnostic.render_for_log();
    match diagnostic.severity {
        Severity::Error => {
            tracing::error!("{text}");
            Some(diagnostic.render(false).trim_end().to_owned())
        }
        Severity::Warning => {
            tracing::warn!("{text}");
            None
        }
    }
}

/// Starts the access log of a plan, if it has one. Blocks, because it opens a file.
pub(super) fn start_access_log(
    plan: &Plan,
    counters: &Arc<Counters>,
) -> Result<Option<(AccessPlan, AccessLog)>, GateError> {
    let Some(access) = &plan.access_log else { return Ok(None) };
    let log = AccessLog::start(access, counters.clone());
    let log = log.map_err(|error| GateError::of_access_log(plan.access_log_origin.as_ref(), error))?;
    Ok(Some((access.clone(), log)))
}

/// The number of workers: that of the plan, else one per core.
pub(super) fn worker_count(plan: &Plan) -> usize {
    plan.settings.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}
