//! Starting and stopping a gate.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::control::GateControl;
use super::error::GateError;
use super::process;
use super::process::Inherited;
use super::sockets;
use super::state::{
    GateState, Running, log_problems, prepare, start_access_log, start_workers, worker_count,
};
use super::watching;
use crate::config::plan::{AccessLogTo, InternalApi, InternalBind, OverlayPlace, Plan};
use crate::files;
use crate::generation::Permits;
use crate::internal_api::{Limits, Server, may_bind_unix};

impl GateState {
    /// Starts everything. On an error nothing is left running.
    pub(super) async fn start(self: &Arc<Self>, mut inherited: Inherited) -> Result<(), GateError> {
        process::raise_file_limit();
        let mut running = self.running.lock().await;
        let (plan, overlay, _) = self.accept(self.read())?;
        self.set_overlay(overlay);
        let access = start_access_log(&plan, &self.counters)?;
        let generation = self.build(1, plan, access.as_ref().map(|(_, log)| log.clone()))?;
        drop(log_problems(&generation));
        let plan = &generation.plan;
        let permits = Permits::new(plan.settings.max_connections);
        permits.set_stream_limit(plan.settings.max_streams);
        let count = worker_count(plan);
        let sockets = sockets::bind(plan, &HashMap::new(), false, &mut inherited, count)?;
        let internal = start_internal(&plan.internal_api, &mut inherited, self)?;
        inherited.close_unused();
        // Before the first request: rules wait for no plugin.
        self.plugins.prepare(&generation).await;
        let workers = start_workers(count, &self.counters, &permits)?;
        let new = prepare(&workers, sockets).await?;
        self.install(&[&workers], &generation, new).await;
        let watching = smol::spawn(watching::watch(Arc::downgrade(self), self.reloaded.1.clone()));
        let checker = self.health.clone();
        let checking = smol::spawn(async move { checker.run().await });
        *running =
            Some(Running { workers, leaving: Vec::new(), permits, internal, access, watching, checking });
        process::notify_ready("generation 1 is served");
        inherited.started();
        Ok(())
    }

    /// Drains and ends everything, each listener within its own `shutdown_timeout`. Cancels a reload. A second
    /// call does nothing. With `is_replaced`, another process goes on with the sockets.
    pub(super) async fn stop(&self, is_replaced: bool) {
        self.begin_stop();
        let Some(running) = self.running.lock().await.take() else { return };
        let Running { workers, mut leaving, internal, access, watching, checking, .. } = running;
        if !is_replaced {
            process::notify("STOPPING=1");
        }
        let services = self.services.stop();
        self.keys.stop();
        watching.cancel().await;
        checking.cancel().await;
        workers.leave(is_replaced);
        leaving.push(workers);
        for workers in &mut leaving {
            workers.ended().await;
        }
        services.await;
        self.plugins.stop().await;
        self.tail.close();
        // Stopping removes a file, which may block.
        smol::unblock(move || if is_replaced { internal.leave_socket() } else { internal.stop() }).await;
        if let Some((_, log)) = access {
            smol::unblock(move || log.flush_and_stop()).await;
        }
    }
}

/// Starts the internal API. Blocks, because a Unix socket has a file.
fn start_internal(
    plan: &InternalApi,
    inherited: &mut Inherited,
    state: &Arc<GateState>,
) -> Result<Server, GateError> {
    let control = Arc::new(GateControl(Arc::downgrade(state)));
    let server = match inherited.of_internal_api(&plan.bind) {
        Some(socket) => Server::start_on(socket, &plan.bind, plan.token.clone(), control, Limits::default()),
        None => Server::start(&plan.bind, plan.token.clone(), control),
    };
    server.map_err(|error| GateError::of_internal_api(&plan.bind, error))
}

/// Returns the errors of a start with this plan, as far as they can be found without opening a port or creating a
/// file. Blocks.
pub fn check_files(plan: &Plan) -> Vec<GateError> {
    let mut errors = Vec::new();
    if let Some(AccessLogTo::File(path)) = plan.access_log.as_ref().map(|log| &log.to) {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let failed = files::may_append(path).err().map(named);
        errors.extend(failed.map(|error| GateError::of_access_log(plan.access_log_origin.as_ref(), error)));
    }
    if let Some(path) = plan.internal_api.edits.as_ref().and_then(OverlayPlace::file) {
        errors.extend(files::may_create(path).err().map(|error| GateError::of_overlay(path, error)));
    }
    if let InternalBind::Unix(path) = &plan.internal_api.bind {
        let failed = may_bind_unix(path).err();
        errors.extend(failed.map(|error| GateError::of_internal_api(&plan.internal_api.bind, error)));
    }
    errors
}
