//! Reload: read, validate, build off the data plane, then swap. Whatever fails, fails before the swap.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use smol::channel::Receiver;
use smol::lock::MutexGuard;

use super::background::{Background, Patience};
use super::bound::{self, NewSockets};
use super::report;
use super::running::{
    Read, Running, Shared, complain, start_access_log, start_crew, start_internal, worker_count,
};
use super::{GateError, notify};
use crate::config::Sources;
use crate::config::plan::{AccessLog as AccessPlan, Plan};
use crate::log::AccessLog;
use crate::proxy::{Generation, Permits};

impl Shared {
    /// Puts the configuration into force as it is written now. What changed, in one line.
    pub(super) async fn reload(self: &Arc<Self>, restart: bool) -> Result<String, GateError> {
        let running = self.running.lock().await;
        let began = Began::now();
        notify::reloading();
        let read = self.aside(began, Self::read).await;
        self.take_over(running, restart, read, began).await
    }

    /// The same because files were found to hold `held`; whether it took place. It does not when that was
    /// loaded meanwhile, nor when they hold something else by now: then they are still being written, and
    /// who watches them sees that too.
    pub(super) async fn reload_changed(self: &Arc<Self>, held: &Sources) -> bool {
        let running = self.running.lock().await;
        if running.is_none() || held.agrees_with(&self.sources()) {
            return false;
        }
        let began = Began::now();
        let read = self.aside(began, Self::read).await;
        if !held.agrees_with(&read.sources) {
            return false;
        }
        notify::reloading();
        // What came of it is in the log.
        let _ = self.take_over(running, false, read, began).await;
        true
    }

    async fn take_over(
        self: &Arc<Self>,
        mut running: MutexGuard<'_, Option<Running>>,
        restart: bool,
        read: Read,
        began: Began,
    ) -> Result<String, GateError> {
        let result = self.swap(&mut running, restart, read, began).await;
        notify::send("READY=1");
        drop(running);
        // When it is full, somebody will look anyway.
        let _ = self.news.0.try_send(());
        self.counters.reload(result.is_ok());
        match &result {
            Ok(changes) => tracing::info!("{changes}"),
            Err(error) => tracing::error!("reload refused, nothing changed:\n{error}"),
        }
        result.map(|changes| format!("{changes} in {:.1} ms", began.at.elapsed().as_secs_f64() * 1000.0))
    }

    async fn swap(
        self: &Arc<Self>,
        running: &mut Option<Running>,
        restart: bool,
        read: Read,
        began: Began,
    ) -> Result<String, GateError> {
        let (Some(run), Some(old)) = (running.as_mut(), self.current()) else {
            return Ok(report::STOPPED.into());
        };
        let plan = self.accept(read)?;
        let access = new_access_log(run, &plan, self)?;
        let log = access.as_ref().or(run.access.as_ref().filter(|_| plan.log.access.is_some()));
        let (number, built_of, log) = (old.number + 1, plan.clone(), log.map(|(_, log)| log.clone()));
        let build = move |shared: &Self| shared.build(number, built_of.clone(), log.clone());
        let generation = self.aside(began, build).await?;
        complain(&generation);
        let internal = if plan.internal_api.bind == run.internal_plan.bind {
            None
        } else {
            Some(start_internal(&plan.internal_api, self)?)
        };
        if restart {
            self.restart(run, &generation).await?;
        } else {
            let sockets = self.bind_new(&plan, run.crew.count())?;
            self.put_into_force(&run.crew, &generation, sockets).await?;
        }
        run.permits.set_limit(plan.max_connections);
        run.internal.set_token(plan.internal_api.token.clone());
        if let Some(internal) = internal {
            std::mem::replace(&mut run.internal, internal).stop();
        }
        run.internal_plan = plan.internal_api.clone();
        if access.is_some() || plan.log.access.is_none() {
            // The old one is written to its end by the exchanges that still hold it.
            run.access = access;
        }
        (self.on_plan)(&plan);
        let before = old.clone();
        let compare = move |_: &Self| report::changes(&before, &generation, restart);
        let changes = self.aside(began, compare).await;
        // We may be the last to have it.
        self.background.discard(old).detach();
        Ok(changes)
    }

    /// Does in the background, perhaps twice, what takes long and waits for nobody.
    async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        began: Began,
        work: impl Fn(&Self) -> T + Send + Sync + 'static,
    ) -> T {
        let shared = self.clone();
        self.background.run(began.patience, move || work(&shared)).await
    }

    /// Sockets for the doors that the plan brings; blocks for no longer than a few system calls.
    fn bind_new(&self, plan: &Plan, workers: usize) -> Result<NewSockets, GateError> {
        let open = self.addresses().clone();
        bound::bind(plan, &open, workers)
    }

    /// Drains and closes everything, then starts it anew. Should the new addresses turn out not to be
    /// free, the old configuration is started again.
    async fn restart(self: &Arc<Self>, run: &mut Running, new: &Arc<Generation>) -> Result<(), GateError> {
        let Some(old) = self.current() else { return Ok(()) };
        // Better to fail while the old listeners still stand.
        drop(self.bind_new(&new.plan, 1)?);
        let permits = Permits::new(new.plan.max_connections);
        let crew = start_crew(worker_count(&new.plan), &self.counters, &permits)?;
        std::mem::replace(&mut run.crew, crew).leave(old.plan.shutdown_timeout).await;
        run.permits = permits;
        self.addresses().clear();
        match self.open(run, new).await {
            Err(error) => {
                tracing::error!(%error, "restart failed, starting the old configuration again");
                self.open(run, &old).await?;
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    async fn open(&self, run: &Running, generation: &Arc<Generation>) -> Result<(), GateError> {
        let sockets = bound::bind(&generation.plan, &HashMap::new(), run.crew.count())?;
        self.put_into_force(&run.crew, generation, sockets).await
    }
}

/// When a reload began, and for how long it disturbs nobody.
#[derive(Clone, Copy)]
struct Began {
    at: Instant,
    patience: Patience,
}

impl Began {
    fn now() -> Self {
        Self { at: Instant::now(), patience: Patience::begin() }
    }
}

/// Holds a generation until no worker does, then has it taken apart. Exchanges that began on it may go on for
/// hours, and taking apart 10,000 rules takes milliseconds: the worker where the last of them ends has no
/// time for that.
pub(super) async fn retire(
    generation: Arc<Generation>,
    returned: Receiver<Infallible>,
    background: Background,
) {
    // Nothing can be sent: this waits for the end of the channel.
    let _ = returned.recv().await;
    background.discard(generation).await;
}

/// A new access log when the plan wants another one than runs.
fn new_access_log(
    run: &Running,
    plan: &Plan,
    shared: &Shared,
) -> Result<Option<(AccessPlan, AccessLog)>, GateError> {
    let same = run.access.as_ref().map(|(plan, _)| plan) == plan.log.access.as_ref();
    if same { Ok(None) } else { start_access_log(plan, &shared.counters) }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_lite::future::{block_on, poll_once};

    use super::*;
    use crate::proxy::Lease;
    use crate::tls::Tickets;
    use crate::upstream::Names;

    #[test]
    fn a_generation_never_ends_with_the_exchange_that_used_it_last() {
        let plan = Arc::new(Plan::empty());
        let generation = Generation::new(1, plan, &Names::default(), &Tickets::default(), None, None);
        let generation = Arc::new(generation.unwrap());
        let alive = Arc::downgrade(&generation);
        let (lease, returned) = Lease::new(generation.clone());
        let background = Background::start().unwrap();
        let mut retired = pin!(retire(generation, returned, background));
        let exchange = lease.clone();
        drop(lease);
        assert!(block_on(poll_once(retired.as_mut())).is_none(), "an exchange is going on");
        drop(exchange);
        assert_eq!(alive.strong_count(), 1, "it ended here");
        block_on(retired);
        assert_eq!(alive.strong_count(), 0);
    }
}
