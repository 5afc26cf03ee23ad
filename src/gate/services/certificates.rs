//! The ordering of certificates.

use std::sync::Arc;

use crate::acme::{self, Ask, Manager, Question, Told};
use crate::config::plan::Plan;
use crate::generation::Generation;
use crate::internal_api::control::{
    CertificateQuestion, CertificateTold, OrderedAttempt, OrderedCertificate,
};
use crate::metrics::Counters;
use crate::tls::{Issued, Terminator};

/// The services of a gate.
pub(in crate::gate) struct Services {
    certificates: Manager,
}

impl Services {
    /// Certificates go to `issued`; `changed` is called after each.
    pub(in crate::gate) fn new(
        issued: Arc<Issued>,
        counters: Arc<Counters>,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self { certificates: Manager::new(issued, counters, Box::new(changed)) }
    }

    /// Prepares what a generation needs before it serves. Blocks.
    pub(in crate::gate) fn prepare(&self, generation: &Generation) {
        self.certificates.load(generation.plan.orders.as_ref(), names(generation));
    }

    /// Follows a generation that serves from now on.
    pub(in crate::gate) fn follow(&self, generation: &Generation) {
        self.certificates.follow(generation.plan.orders.as_ref(), names(generation));
    }

    /// Ends all work. The future waits for the end.
    pub(in crate::gate) fn stop(&self) -> impl Future<Output = ()> + use<> {
        self.certificates.stop()
    }

    /// The names for which certificates are ordered.
    pub(in crate::gate) fn certificates(&self) -> Vec<OrderedCertificate> {
        let views = self.certificates.views().into_iter();
        let ordered = views.map(|view| OrderedCertificate {
            name: view.name.to_string(),
            state: view.state.label(),
            until: view.until.and_then(|until| u64::try_from(until).ok()),
            next: view.next,
            error: view.error,
            ca: view.ca,
            attempts: view.history.into_iter().map(attempt).collect(),
        });
        ordered.collect()
    }

    /// Orders a new certificate for a name now.
    pub(in crate::gate) fn renew(&self, name: &str) -> Result<(), String> {
        self.certificates.ask(name, Ask::Renew)
    }

    /// Answers a question about certificates, which may take minutes.
    pub(in crate::gate) async fn answer(
        &self,
        question: CertificateQuestion,
    ) -> Result<CertificateTold, String> {
        let question = match question {
            CertificateQuestion::Check(name) => Question::Check(name),
            CertificateQuestion::Test(name) => Question::Test(name),
            CertificateQuestion::Dns(name) => Question::Dns(name),
            CertificateQuestion::Rollover => Question::Rollover,
        };
        let Told { is_well, text } = self.certificates.answer(question).await?;
        Ok(CertificateTold { is_well, text })
    }

    /// Revokes the certificate of a name, and orders a new one.
    pub(in crate::gate) fn revoke(&self, name: &str) -> Result<(), String> {
        self.certificates.ask(name, Ask::Revoke)
    }
}

/// The state in the store of a name for which certificates are ordered, as half a sentence. Blocks.
pub fn stored(plan: &Plan, name: &str) -> Option<String> {
    plan.orders.as_ref().map(|orders| acme::state_of(orders, name))
}

fn attempt(attempt: acme::Attempt) -> OrderedAttempt {
    let acme::Attempt { at, ca, staging, reason } = attempt;
    OrderedAttempt { at, ca, staging, error: reason }
}

fn names(generation: &Generation) -> impl Iterator<Item = &str> {
    generation.terminators.iter().flatten().flat_map(Terminator::ordered)
}
