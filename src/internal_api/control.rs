//! The questions that the internal API asks the gate.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use crate::config::plan::{Change, Conflict, Plan};
use crate::log::access::{TailFilter, TailReader};
use crate::metrics::{Counters, EndpointFigures};

/// The future of a reload. Its result is one line with the changes and the duration, or the whole diagnostic.
pub type ReloadFuture<'a> = Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>>;

/// The future of a question about certificates. The error says that there is no such name.
pub type CertificateFuture<'a> = Pin<Box<dyn Future<Output = Result<CertificateTold, String>> + Send + 'a>>;

/// The future of an explanation: lines for a person. The error says what is wrong with the question.
pub type ExplanationFuture<'a> = Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>>;

/// The future of a change of the configuration.
pub type ChangeFuture<'a> = Pin<Box<dyn Future<Output = Result<Changed, ChangeError>> + Send + 'a>>;

/// The future of a question to the workers. It takes seconds at most.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Phase> + Send + 'a>>;

/// The gate, as the internal API uses it.
pub trait Control: Send + Sync + 'static {
    /// Reads the configuration again and applies it. With `restart`, new workers with new sockets serve it. A
    /// second call waits for the first. The future is never dropped before it ends.
    fn reload(&self, restart: bool) -> ReloadFuture<'_>;

    /// Makes a change of the configuration, as a reload with that change. A second call waits for the first. The future
    /// is never dropped before it ends.
    fn change(&self, change: Change) -> ChangeFuture<'_>;

    /// The current plan.
    fn plan(&self) -> Arc<Plan>;

    /// The counters of the process.
    fn counters(&self) -> Arc<Counters>;

    /// The phase of the gate's life. Before it says [`Phase::Ready`], it asks the workers.
    fn phase(&self) -> Asking<'_>;

    /// The number of the current configuration. The first is 1.
    fn generation(&self) -> u64;

    /// The time at which the gate started.
    fn started(&self) -> SystemTime;

    /// The names for which certificates are ordered, sorted.
    fn certificates(&self) -> Vec<OrderedCertificate>;

    /// Orders a new certificate for a name now, even if it has one.
    ///
    /// # Errors
    /// No certificate is ordered for the name.
    fn renew(&self, name: &str) -> Result<(), String>;

    /// Answers a question about certificates. It takes minutes at most.
    fn answer(&self, question: CertificateQuestion) -> CertificateFuture<'_>;

    /// Revokes the certificate of a name, and orders a new one.
    ///
    /// # Errors
    /// No certificate is ordered for the name.
    fn revoke(&self, name: &str) -> Result<(), String>;

    /// The figures of every endpoint, by upstream.
    fn endpoints(&self) -> Vec<EndpointFigures>;

    /// Drains endpoints, or makes them ready again. `which` is `upstream` or `upstream/target`. Returns the names of the
    /// upstream and of its endpoints that were meant; `None` if there is no such upstream.
    fn drain(&self, which: &str, is_draining: bool) -> Option<(String, Vec<String>)>;

    /// Says which rule takes a request, and why each earlier one does not.
    fn explain(&self, method: &str, url: &str) -> ExplanationFuture<'_>;

    /// A reader of exchanges as they end. `None` if there are as many as may be.
    fn tail(&self, filter: TailFilter) -> Option<TailReader>;

    /// The current plan as YAML, without its secrets.
    fn view(&self) -> String;

    /// The current plan as JSON, without its secrets.
    fn view_as_json(&self) -> serde_json::Value;
}

/// A change that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Whether something is there that was not there.
    pub is_made: bool,
    /// The number of the configuration that has the change.
    pub generation: u64,
}

/// A change that was not made. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeError {
    /// The configuration would be invalid, or the change does not fit it.
    Refused {
        /// The reason, if it is not that the configuration would be invalid.
        conflict: Option<Conflict>,
        /// The whole diagnostic.
        text: String,
    },
    /// The gate is stopping.
    Stopping,
}

/// A name for which certificates are ordered.
#[derive(Clone, Debug)]
pub struct OrderedCertificate {
    /// The name.
    pub name: String,
    /// `valid`, `ordering`, `waiting` or `held`.
    pub state: &'static str,
    /// The end of the certificate's life, in seconds since 1970.
    pub until: Option<u64>,
    /// The next attempt, in seconds since 1970.
    pub next: Option<u64>,
    /// The reason of the last failure.
    pub error: Option<String>,
    /// The CA of the certificate, or of the next order.
    pub ca: Option<String>,
    /// The last attempts, oldest first.
    pub attempts: Vec<OrderedAttempt>,
}

/// An attempt to get a certificate that is over.
#[derive(Clone, Debug)]
pub struct OrderedAttempt {
    /// Its end, in seconds since 1970.
    pub at: u64,
    /// The CA.
    pub ca: String,
    /// Whether it was one at the test system of the CA.
    pub staging: bool,
    /// The reason of the failure. `None`: the certificate was issued.
    pub error: Option<String>,
}

/// A question about certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateQuestion {
    /// A look at a name as a CA looks at it.
    Check(String),
    /// An order at the test system of the CA, of which nothing is kept.
    Test(String),
    /// The records of DNS that a person has to write for a name.
    Dns(String),
    /// New keys for the accounts.
    Rollover,
}

/// The answer to a [`CertificateQuestion`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateTold {
    /// Whether everything is well.
    pub is_well: bool,
    /// Lines for a person.
    pub text: String,
}

/// The phase of a gate's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not all listeners accept yet.
    Starting,
    /// The gate serves.
    Ready,
    /// A worker does not answer, or has ended.
    Unresponsive,
    /// The gate is stopping: open exchanges end, and no new request should be sent here.
    Draining,
}

impl Phase {
    /// The phase that an answer to `/readyz` tells. `None` if no gate gives this answer.
    pub fn of_answer(status: u16, word: &str) -> Option<Phase> {
        let all = [Phase::Starting, Phase::Ready, Phase::Unresponsive, Phase::Draining];
        all.into_iter().find(|phase| phase.word() == word && phase.status() == status)
    }

    /// The status of the answer to a probe.
    pub(super) fn status(self) -> u16 {
        if self == Phase::Ready { 200 } else { 503 }
    }

    /// The phase as one lower-case word.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Unresponsive => "unresponsive",
            Phase::Draining => "draining",
        }
    }
}
