//! The count of requests at an endpoint.

use std::rc::Rc;
use std::sync::Arc;

use super::endpoint_state::EndpointState;
use crate::metrics::EndpointCounters;

/// Counts the requests of one worker at an endpoint.
pub(super) struct RequestCount {
    pub(super) counters: Arc<EndpointCounters>,
    /// Counts those of all workers, if the upstream needs their number.
    pub(super) shared: Option<Arc<EndpointState>>,
}

/// A request or tunnel that is counted at its endpoint until this value is dropped.
pub(super) struct OpenRequest(Rc<RequestCount>);

impl OpenRequest {
    pub(super) fn new(count: &Rc<RequestCount>) -> Self {
        count.counters.begun.add(1);
        if let Some(state) = &count.shared {
            state.begin_request();
        }
        Self(count.clone())
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        if let Some(state) = &self.0.shared {
            state.end_request();
        }
        self.0.counters.ended.add(1);
    }
}
