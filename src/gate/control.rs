//! The gate as the internal API sees it.

use std::sync::{Arc, Weak};
use std::time::SystemTime;

use super::error::GateError;
use super::reload::ReloadStart;
use super::state::GateState;
use crate::config::{
    self,
    plan::{Action, Change, Conflict, Plan},
};
use crate::internal_api::control::{
    Asking, CertificateFuture, CertificateQuestion, ChangeError, ChangeFuture, Changed, ExplanationFuture,
    OrderedCertificate, ReloadFuture,
};
use crate::internal_api::{Control, Phase};
use crate::log::access::{TailFilter, TailReader};
use crate::metrics::{Counters, EndpointFigures};

/// Weak, because the gate holds the internal API, which holds this value.
pub(super) struct GateControl(pub(super) Weak<GateState>);

impl Control for GateControl {
    fn reload(&self, restart: bool) -> ReloadFuture<'_> {
        Box::pin(async move {
            let state = self.0.upgrade().ok_or("the gate is stopping")?;
            state.reload(restart).await.map_err(|error| error.to_string())
        })
    }

    fn change(&self, change: Change) -> ChangeFuture<'_> {
        Box::pin(async move {
            let state = self.0.upgrade().ok_or(ChangeError::Stopping)?;
            state.change(change).await
        })
    }

    fn plan(&self) -> Arc<Plan> {
        let generation = self.0.upgrade().and_then(|state| state.current());
        generation.map_or_else(|| Arc::new(Plan::empty()), |generation| generation.plan.clone())
    }

    fn counters(&self) -> Arc<Counters> {
        self.0.upgrade().map_or_else(Counters::new, |state| state.counters.clone())
    }

    fn phase(&self) -> Asking<'_> {
        Box::pin(async move {
            let Some(state) = self.0.upgrade() else { return Phase::Draining };
            state.phase().await
        })
    }

    fn generation(&self) -> u64 {
        let generation = self.0.upgrade().and_then(|state| state.current());
        generation.map_or(0, |generation| generation.number)
    }

    fn started(&self) -> SystemTime {
        self.0.upgrade().map_or_else(SystemTime::now, |state| state.started)
    }

    fn certificates(&self) -> Vec<OrderedCertificate> {
        self.0.upgrade().map(|state| state.services.certificates()).unwrap_or_default()
    }

    fn renew(&self, name: &str) -> Result<(), String> {
        self.0
            .upgrade()
            .map_or_else(|| Err("the gate is stopping".into()), |state| state.services.renew(name))
    }

    fn answer(&self, question: CertificateQuestion) -> CertificateFuture<'_> {
        Box::pin(async move {
            let state = self.0.upgrade().ok_or("the gate is stopping")?;
            state.services.answer(question).await
        })
    }

    fn revoke(&self, name: &str) -> Result<(), String> {
        self.0
            .upgrade()
            .map_or_else(|| Err("the gate is stopping".into()), |state| state.services.revoke(name))
    }

    fn endpoints(&self) -> Vec<EndpointFigures> {
        let Some(state) = self.0.upgrade() else { return Vec::new() };
        let Some(generation) = state.current() else { return Vec::new() };
        let requests = |upstream: &str, target: &str| state.counters.endpoint(upstream, target);
        generation.upstream_table.upstreams().flat_map(|(set, _)| set.figures(requests)).collect()
    }

    fn drain(&self, which: &str, is_draining: bool) -> Option<(String, Vec<String>)> {
        let generation = self.0.upgrade()?.current()?;
        // The name of an upstream may hold a slash itself.
        let splits = which.match_indices('/').map(|(at, _)| (&which[..at], Some(&which[at + 1..])));
        let find = |(name, target): (&str, Option<&str>)| {
            let mut sets = generation.upstream_table.upstreams();
            let (set, _) = sets.find(|(set, _)| &*set.plan.name == name)?;
            let drained = set.drain(target, is_draining);
            tracing::info!(upstream = name, targets = ?drained, is_draining, "endpoints drained or ready");
            Some((name.to_owned(), drained))
        };
        std::iter::once((which, None)).chain(splits).find_map(find)
    }

    fn explain(&self, method: &str, url: &str) -> ExplanationFuture<'_> {
        let explainer = self.0.upgrade().and_then(|state| state.explainer.get().copied());
        let (plan, method, url) = (self.plan(), method.to_owned(), url.to_owned());
        Box::pin(async move {
            let explainer = explainer.ok_or("this gate explains nothing")?;
            smol::unblock(move || explainer(&plan, &method, &url)).await
        })
    }

    fn tail(&self, filter: TailFilter) -> Option<TailReader> {
        self.0.upgrade()?.tail.read(filter)
    }

    fn view(&self) -> String {
        config::view(&self.plan())
    }

    fn view_as_json(&self) -> serde_json::Value {
        config::view_as_json(&self.plan())
    }
}

impl GateState {
    /// Lets exchanges be counted by upstream, for the names of the file with a mode.
    pub(super) fn note_upstreams(&self, plan: &Plan) {
        for listener in plan.listeners.iter().filter(|_| plan.mode.is_some()) {
            for rule in listener.rules() {
                if let Action::Proxy(proxy) = &rule.action {
                    let upstream = &plan.upstreams[proxy.upstream.0].name;
                    self.counters.note_upstream(&listener.name, &rule.name, upstream);
                }
            }
        }
    }

    /// Makes a change: a reload with one more change.
    ///
    /// Changes and reloads wait for one lock, so each of them finds what the one before has left. A change that is
    /// refused is not kept, and an edit of the files that its load has seen is still a change for the next reload.
    pub(super) async fn change(self: &Arc<Self>, change: Change) -> Result<Changed, ChangeError> {
        let changed = self.unless_stopping(self.change_now(change)).await;
        changed.unwrap_or(Err(ChangeError::Stopping))
    }

    async fn change_now(self: &Arc<Self>, change: Change) -> Result<Changed, ChangeError> {
        let mut running = self.running.lock().await;
        if running.is_none() {
            return Err(ChangeError::Stopping);
        }
        let start = ReloadStart::now();
        let overlay = self.overlay().with(change);
        let load = self.in_background(start, move |state| state.read_with(&overlay));
        let read = self.in_time(start, load).await.map_err(refused)?;
        let made = match &read.loaded {
            Ok(loaded) => loaded.overlay.is_made(),
            Err(diagnostics) => return Err(refused(GateError::Configuration(diagnostics.clone()))),
        };
        let result = self.swap(&mut running, false, Ok(read), start).await;
        let generation = self.current().map_or(0, |current| current.number);
        drop(running);
        // If the channel is full, the task that watches files will look anyway.
        let _ = self.reloaded.0.try_send(());
        let (changes, _) = result.map_err(refused)?;
        self.counters.reload(true);
        tracing::info!("changed by the control API: {changes}");
        Ok(Changed { is_made: made, generation })
    }
}

fn refused(error: GateError) -> ChangeError {
    let conflict: Option<Conflict> = match &error {
        GateError::Configuration(diagnostics) => diagnostics.conflict(),
        GateError::System(..) => None,
    };
    let text = error.to_string();
    tracing::warn!("a change of the control API is refused, nothing changed:\n{text}");
    ChangeError::Refused { conflict, text }
}
