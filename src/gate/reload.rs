//! Reload: reads, checks, builds and binds off the data plane, then swaps. Every error comes before the swap.
//!
//! Only a stop cancels a reload, and it may do so at any await.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::FutureExt;
use smol::Timer;
use smol::lock::MutexGuard;

use super::background::Deadline;
use super::error::GateError;
use super::process;
use super::process::Inherited;
use super::sockets;
use super::state::{
    GateState, LoadResult, NewAddresses, Running, log_problems, prepare, start_access_log, start_workers,
    worker_count,
};
use super::workers::Workers;
use crate::config::plan::{AccessLog as AccessPlan, InternalApi, OverlayPlace, Plan, changes};
use crate::config::{Content, Overlay, SourceFiles};
use crate::files;
use crate::generation::{Generation, certificates};
use crate::internal_api::Server;
use crate::log::AccessLog;

/// The result of a reload of a gate that is stopping.
const STOPPED: &str = "the gate is stopping; nothing was reloaded";

/// The longest wait for the files of the configuration. Those of 10,000 rules take 70 ms, but a network file
/// system without an answer takes for ever.
const FILES_TIME_MAX: Duration = Duration::from_secs(30);

impl GateState {
    /// Applies the configuration as it is written now. Returns what changed, in one line.
    pub(super) async fn reload(self: &Arc<Self>, restart: bool) -> Result<String, GateError> {
        let reload = async {
            let running = self.running.lock().await;
            let start = ReloadStart::now();
            process::notify_reloading();
            let read = self.in_time(start, self.in_background(start, Self::read)).await;
            self.apply(running, restart, read, start).await
        };
        self.unless_stopping(reload).await.unwrap_or_else(|| Ok(STOPPED.into()))
    }

    /// As [`GateState::reload`], because the files hold `held` now. Returns whether the reload took place.
    ///
    /// It does not if `held` was loaded in the meantime. Nor does it if the files hold something else by now. Then
    /// they are still being written, and the task that watches them will see that too.
    pub(super) async fn reload_changed(self: &Arc<Self>, held: &SourceFiles) -> bool {
        let reload = async {
            let running = self.running.lock().await;
            if running.is_none() || held.same_content(&self.sources()) {
                return false;
            }
            let start = ReloadStart::now();
            let read = self.in_time(start, self.in_background(start, Self::read)).await;
            if read.as_ref().is_ok_and(|read| !held.same_content(&read.sources)) {
                return false;
            }
            process::notify_reloading();
            // A load that took too long is asked for again.
            let was_read = read.is_ok();
            // The log tells the result.
            let _ = self.apply(running, false, read, start).await;
            was_read
        };
        self.unless_stopping(reload).await.unwrap_or(false)
    }

    async fn apply(
        self: &Arc<Self>,
        mut running: MutexGuard<'_, Option<Running>>,
        restart: bool,
        read: Result<LoadResult, GateError>,
        start: ReloadStart,
    ) -> Result<String, GateError> {
        let result = self.swap(&mut running, restart, read, start).await;
        match &result {
            Ok((changes, _)) => process::notify_ready(changes),
            Err(error) => process::notify_ready(&format!("reload refused, nothing changed: {error}")),
        }
        drop(running);
        // If the channel is full, the watching task will look anyway.
        let _ = self.reloaded.0.try_send(());
        self.counters.reload(result.is_ok());
        match &result {
            Ok((changes, _)) => tracing::info!("{changes}"),
            Err(error) => tracing::error!("reload refused, nothing changed:\n{error}"),
        }
        result.map(|(changes, errors)| {
            let line = format!("{changes} ({:.1} ms)", start.at.elapsed().as_secs_f64() * 1000.0);
            match errors.len() {
                0 => line,
                1 => format!("{line}, with an error:\n{}", errors[0]),
                count => format!("{line}, with {count} errors:\n{}", errors.join("\n")),
            }
        })
    }

    pub(super) async fn swap(
        self: &Arc<Self>,
        running: &mut Option<Running>,
        restart: bool,
        read: Result<LoadResult, GateError>,
        start: ReloadStart,
    ) -> Result<(String, Vec<String>), GateError> {
        let (Some(run), Some(old)) = (running.as_mut(), self.current()) else {
            return Ok((STOPPED.into(), Vec::new()));
        };
        let (plan, overlay, mut errors) = self.accept(read?)?;
        let mut next = self.prepare(run, restart, plan, start).await?;
        errors.append(&mut next.errors);
        let generation = next.generation.clone();
        let (state, kept) = (self.clone(), overlay.clone());
        let keep = smol::unblock({
            let plan = generation.plan.clone();
            move || state.keep(&plan, &kept)
        });
        self.in_time(start, keep).await??;
        self.commit(run, next).await;
        self.set_overlay(overlay);
        let before = old.clone();
        let compare = move |_: &Self| summary(&before, &generation, restart);
        let changes = self.in_background(start, compare).await;
        // This may be the last reference.
        self.background.discard(old).detach();
        Ok((changes, errors))
    }

    /// Makes everything that `plan` needs and that does not run yet. If a part fails, everything that was made so far
    /// is dropped. Errors of the files themselves were returned before, by `accept`.
    async fn prepare(
        self: &Arc<Self>,
        run: &mut Running,
        restart: bool,
        plan: Arc<Plan>,
        start: ReloadStart,
    ) -> Result<Next, GateError> {
        let access = self.in_time(start, self.new_access_log(run, &plan)).await??;
        let log = access.as_ref().or(run.access.as_ref().filter(|_| plan.access_log.is_some()));
        let number = self.current().map_or(1, |current| current.number + 1);
        let (built_of, log) = (plan.clone(), log.map(|(_, log)| log.clone()));
        let build = move |state: &Self| state.build(number, built_of.clone(), log.clone());
        let generation = self.in_time(start, self.in_background(start, build)).await??;
        let complaining = generation.clone();
        let errors = self.in_time(start, smol::unblock(move || log_problems(&complaining))).await?;
        let internal = self.in_time(start, self.new_internal(run, &plan)).await??;
        let workers = if restart {
            // Waits, so that there are never more than two sets of workers, however often a restart is asked for.
            for workers in &mut run.leaving {
                workers.ended().await;
            }
            Some(start_workers(worker_count(&plan), &self.counters, &run.permits)?)
        } else {
            None
        };
        let serving = workers.as_ref().unwrap_or(&run.workers);
        let open = self.addresses().clone();
        let sockets = sockets::bind(&plan, &open, restart, &mut Inherited::default(), serving.count())?;
        let new = prepare(serving, sockets).await?;
        self.plugins.prepare(&generation).await;
        Ok(Next { generation, access, internal, workers, new, errors })
    }

    /// Installs what was prepared. Nothing here can fail.
    ///
    /// New workers accept before the old workers stop accepting, so a restart refuses no connection. Until then,
    /// the old workers serve the new generation as well.
    async fn commit(&self, run: &mut Running, next: Next) {
        let Next { generation, access, internal, workers, new, .. } = next;
        let plan = &generation.plan;
        run.permits.set_limit(plan.settings.max_connections);
        run.permits.set_stream_limit(plan.settings.max_streams);
        let all_workers: Vec<&Workers> = workers.iter().chain([&run.workers]).collect();
        self.install(&all_workers, &generation, new).await;
        if let Some(workers) = workers {
            let before = std::mem::replace(&mut run.workers, workers);
            before.leave(false);
            run.leaving = vec![before];
        }
        run.internal.set_token(plan.internal_api.token.clone());
        if let Some(internal) = internal {
            let before = std::mem::replace(&mut run.internal, internal);
            // Stopping removes a file, which may block.
            smol::unblock(move || before.stop()).detach();
        }
        if access.is_some() || plan.access_log.is_none() {
            // Exchanges that still hold the old log go on writing to it.
            run.access = access;
        }
        (self.on_plan)(plan);
    }

    /// Writes the changes into the file that the plan names, unless it has them. Blocks.
    fn keep(&self, plan: &Plan, overlay: &Overlay) -> Result<(), GateError> {
        let Some(path) = plan.internal_api.edits.as_ref().and_then(OverlayPlace::file) else { return Ok(()) };
        let held = self.sources().get(path);
        let text = match overlay.text() {
            Some(text) => text,
            None if matches!(held, Some(Content::Text { .. })) => "{}\n".to_owned(),
            None => return Ok(()),
        };
        let content = Content::text(text.as_bytes());
        if held != Some(content) {
            files::replace_private(path, text.as_bytes())
                .map_err(|error| GateError::of_overlay(path, error))?;
            self.note(path, content);
        }
        Ok(())
    }

    /// Starts a new access log if the plan wants another one.
    async fn new_access_log(&self, run: &Running, plan: &Arc<Plan>) -> Result<NewAccessLog, GateError> {
        if run.access.as_ref().map(|(plan, _)| plan) == plan.access_log.as_ref() {
            return Ok(None);
        }
        let (plan, counters) = (plan.clone(), self.counters.clone());
        smol::unblock(move || start_access_log(&plan, &counters)).await
    }

    /// Starts a new internal API if the plan wants another address.
    async fn new_internal(&self, run: &Running, plan: &Plan) -> Result<Option<Server>, GateError> {
        let InternalApi { bind, token, edits: _ } = &plan.internal_api;
        if self.current().is_some_and(|current| current.plan.internal_api.bind == *bind) {
            return Ok(None);
        }
        let internal = run.internal.rebind(bind, token.clone()).await;
        internal.map(Some).map_err(|error| GateError::of_internal_api(bind, error))
    }

    /// Runs `work` in the background, perhaps twice. It may take long but must not wait for anything.
    pub(super) async fn in_background<T: Send + 'static>(
        self: &Arc<Self>,
        start: ReloadStart,
        work: impl Fn(&Self) -> T + Send + Sync + 'static,
    ) -> T {
        let state = self.clone();
        self.background.run(start.deadline, move || work(&state)).await
    }

    /// Returns the result of `work`, or an error after [`FILES_TIME_MAX`]. A thread that waits for a file system
    /// goes on until that answers.
    pub(super) async fn in_time<T>(
        &self,
        start: ReloadStart,
        work: impl Future<Output = T>,
    ) -> Result<T, GateError> {
        let late = async {
            Timer::at(start.at + FILES_TIME_MAX).await;
            let why = format!("they were not read within {FILES_TIME_MAX:?}; does their file system answer?");
            let error = io::Error::new(io::ErrorKind::TimedOut, why);
            Err(GateError::System("files of the configuration".into(), error))
        };
        async { Ok(work.await) }.or(late).await
    }
}

/// The result of a reload, in one line.
fn summary(before: &Generation, new: &Generation, restarted: bool) -> String {
    let mut said = changes(&before.plan, &new.plan, &certificates::changes(before, new));
    if before.plan.settings.workers != new.plan.settings.workers && !restarted {
        said.push("workers takes effect with ?restart=true".into());
    }
    if said.is_empty() {
        said.push("nothing changed".into());
    }
    let verb = if restarted { "restarted" } else { "reloaded" };
    format!("{verb} as generation {}: {}", new.number, said.join(", "))
}

/// An access log, with the plan that it was started with. `None` if the running one stays, or if none is wanted.
type NewAccessLog = Option<(AccessPlan, AccessLog)>;

/// Everything that a reload needs, before it is installed. Dropping it leaves everything as it was.
struct Next {
    generation: Arc<Generation>,
    access: NewAccessLog,
    internal: Option<Server>,
    /// New workers, for a restart.
    workers: Option<Workers>,
    new: NewAddresses,
    /// Errors in certificates, without which the generation is served nevertheless.
    errors: Vec<String>,
}

/// The time at which a reload began, and until when it leaves the workers undisturbed.
#[derive(Clone, Copy)]
pub(super) struct ReloadStart {
    at: Instant,
    deadline: Deadline,
}

impl ReloadStart {
    pub(super) fn now() -> Self {
        Self { at: Instant::now(), deadline: Deadline::begin() }
    }
}
