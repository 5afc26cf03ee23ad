//! Why an attempt has failed, and whose fault it is.

use std::sync::Arc;
use std::time::Duration;

/// The side whose fault a failure is. The next attempt waits accordingly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultOf {
    /// The name: the CA cannot reach it, or refuses it.
    Name,
    /// The CA: it does not answer, or is in trouble.
    Ca,
    /// This gate: its folder cannot be written to.
    Gate,
    /// None: another gate orders now.
    Turn,
}

/// Why an attempt has failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) of: FaultOf,
    /// A text for the log and for `smolgate certs`.
    pub(super) reason: String,
    /// The time that the CA asks to wait.
    pub(super) retry_after: Option<Duration>,
    /// Whether a limit of the CA was reached.
    pub(super) is_rate_limit: bool,
    /// The domain of the limit, if all names below it have to wait.
    pub(super) limited_domain: Option<Arc<str>>,
    /// Whether another CA may issue what this one does not.
    pub(super) is_of_this_ca: bool,
}

impl Failure {
    pub(super) fn new(of: FaultOf, reason: impl Into<String>) -> Self {
        Self {
            of,
            reason: reason.into(),
            retry_after: None,
            is_rate_limit: false,
            limited_domain: None,
            is_of_this_ca: false,
        }
    }

    pub(super) fn of_ca(reason: impl Into<String>) -> Self {
        Self::new(FaultOf::Ca, reason)
    }

    pub(super) fn of_name(reason: impl Into<String>) -> Self {
        Self::new(FaultOf::Name, reason)
    }

    /// The error of a file in the store.
    pub(super) fn of_store(error: &std::io::Error) -> Self {
        Self::new(FaultOf::Gate, format!("the store cannot be used: {error}"))
    }

    /// The value of `smolgate_acme_orders_total`'s label `result`.
    pub(super) fn label(&self) -> crate::metrics::OrderResult {
        use crate::metrics::OrderResult::{CaFailed, NameFailed, RateLimited};
        match self.of {
            _ if self.is_rate_limit => RateLimited,
            FaultOf::Name => NameFailed,
            FaultOf::Ca | FaultOf::Gate | FaultOf::Turn => CaFailed,
        }
    }
}
