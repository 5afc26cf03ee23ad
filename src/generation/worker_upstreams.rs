//! The upstreams of a generation on one worker.

use std::cell::OnceCell;
use std::rc::Rc;

use super::handle::GenerationHandle;
use super::worker_state::WorkerState;
use crate::config::plan::UpstreamId;
use crate::upstream::Upstream;

/// The upstreams of a generation on one worker. Each is created on first use, so a reload of thousands costs
/// nothing until then.
pub struct Upstreams {
    pub(super) state: Rc<WorkerState>,
    pub(super) generation: GenerationHandle,
    /// Boxed, so that an unused upstream takes only eight bytes.
    made: Box<[OnceCell<Box<Upstream>>]>,
}

impl Upstreams {
    /// Creates the list without any upstream.
    pub fn new(state: Rc<WorkerState>, generation: GenerationHandle) -> Self {
        let made = generation.plan.upstreams.iter().map(|_| OnceCell::new()).collect();
        Self { state, generation, made }
    }

    /// The upstream with that id, created on first use.
    #[inline(always)]
    pub fn get(&self, id: UpstreamId) -> &Upstream {
        let WorkerState { pools, counters, .. } = &*self.state;
        self.made[id.0]
            .get_or_init(|| Box::new(pools.upstream(&self.generation.upstream_table, id, counters)))
    }
}
