//! The services where the feature is left out: none.

use std::sync::Arc;

use crate::config::plan::Plan;
use crate::generation::Generation;
use crate::internal_api::control::{CertificateQuestion, CertificateTold, OrderedCertificate};
use crate::metrics::Counters;
use crate::tls::Issued;

/// No service.
pub(in crate::gate) struct Services;

impl Services {
    pub(in crate::gate) fn new(
        _: Arc<Issued>,
        _: Arc<Counters>,
        _: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self
    }

    /// Says that nothing is ordered, if something is to be.
    pub(in crate::gate) fn prepare(&self, generation: &Generation) {
        if generation.plan.orders.is_some() {
            tracing::warn!("no certificate is ordered: this program was built without the feature for it");
        }
    }

    pub(in crate::gate) fn follow(&self, _: &Generation) {}

    pub(in crate::gate) fn stop(&self) -> impl Future<Output = ()> + use<> {
        std::future::ready(())
    }

    pub(in crate::gate) fn certificates(&self) -> Vec<OrderedCertificate> {
        Vec::new()
    }

    pub(in crate::gate) fn renew(&self, name: &str) -> Result<(), String> {
        Err(format!("no certificate is ordered for {name}"))
    }

    #[expect(clippy::unused_async, reason = "the other services wait here")]
    pub(in crate::gate) async fn answer(&self, _: CertificateQuestion) -> Result<CertificateTold, String> {
        Err("no certificates are ordered: this program was built without the feature for it".to_owned())
    }

    pub(in crate::gate) fn revoke(&self, name: &str) -> Result<(), String> {
        Err(format!("no certificate is ordered for {name}"))
    }
}

/// Nothing is kept.
pub fn stored(_: &Plan, _: &str) -> Option<String> {
    None
}
