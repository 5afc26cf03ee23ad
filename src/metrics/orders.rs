//! The labels of orders for certificates.

/// The result of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderResult {
    /// The certificate is served.
    Ok,
    /// The name was refused, or the authority could not reach it.
    NameFailed,
    /// The authority did not answer, or was in trouble.
    CaFailed,
    /// A limit of the authority was reached.
    RateLimited,
}

impl OrderResult {
    /// Every result, in the order of the counters.
    pub const ALL: [Self; 4] = [Self::Ok, Self::NameFailed, Self::CaFailed, Self::RateLimited];

    /// The label `result`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NameFailed => "name_failed",
            Self::CaFailed => "ca_failed",
            Self::RateLimited => "rate_limited",
        }
    }
}

/// A kind of access to the place in which certificates are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOperation {
    /// The right to write is asked for.
    Lock,
    /// A record, a certificate or a list is read.
    Read,
    /// A record or a certificate is written or removed.
    Write,
}

impl StoreOperation {
    /// Every operation, in the order of the counters.
    pub const ALL: [Self; 3] = [Self::Lock, Self::Read, Self::Write];

    /// The label `operation`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// The state of a name for which certificates are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameState {
    /// A certificate is served.
    Valid,
    /// The first certificate is being ordered.
    Ordering,
    /// There is no certificate yet, and the next attempt has a time.
    Waiting,
    /// No certificate is ordered, because it would be in vain.
    Held,
}

impl NameState {
    /// Every state, in the order of the counters.
    pub const ALL: [Self; 4] = [Self::Valid, Self::Ordering, Self::Waiting, Self::Held];

    /// The label `state`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Ordering => "ordering",
            Self::Waiting => "waiting",
            Self::Held => "held",
        }
    }
}
