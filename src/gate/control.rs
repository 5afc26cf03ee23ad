//! The gate as the internal API sees it.

use std::sync::{Arc, Weak};
use std::time::SystemTime;

use super::state::GateState;
use crate::config::{self, plan::Plan};
use crate::internal_api::control::{
    Asking, CertificateFuture, CertificateQuestion, ExplanationFuture, OrderedCertificate, ReloadFuture,
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
}
