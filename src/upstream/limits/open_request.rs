//! The count of requests at an endpoint.

use std::rc::Rc;
use std::sync::Arc;

use super::limits::Limits;
use crate::metrics::EndpointCounters;
use crate::upstream::endpoint_state::EndpointState;

/// Counts the requests of one worker at an endpoint.
pub(in crate::upstream) struct RequestCount {
    pub(in crate::upstream) counters: Arc<EndpointCounters>,
    /// Counts those of all workers, if the upstream needs their number.
    pub(in crate::upstream) shared: Option<SharedCount>,
}

/// Counts the requests of all workers at an endpoint.
pub(in crate::upstream) struct SharedCount {
    pub(in crate::upstream) state: Arc<EndpointState>,
    /// The limits of the upstream, if it has any.
    pub(in crate::upstream) limits: Option<Arc<Limits>>,
}

/// A request or tunnel that is counted at its endpoint until this value is dropped.
pub(in crate::upstream) struct OpenRequest(Rc<RequestCount>);

impl OpenRequest {
    /// Counts a request. `None` if the endpoint has as many as it may have.
    pub(in crate::upstream) fn new(count: &Rc<RequestCount>) -> Option<Self> {
        if count.shared.as_ref().is_some_and(|shared| !shared.begin()) {
            return None;
        }
        count.counters.begun.add(1);
        Some(Self(count.clone()))
    }
}

impl SharedCount {
    fn begin(&self) -> bool {
        match &self.limits {
            Some(limits) => limits.begin_request(&self.state),
            None => {
                self.state.begin_request();
                true
            }
        }
    }

    fn end(&self) {
        match &self.limits {
            Some(limits) => limits.end_request(&self.state),
            None => self.state.end_request(),
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        if let Some(shared) = &self.0.shared {
            shared.end();
        }
        self.0.counters.ended.add(1);
    }
}
