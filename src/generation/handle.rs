//! A counted reference to a generation that tells when it is the last.

use std::convert::Infallible;
use std::ops::Deref;
use std::sync::Arc;

use smol::channel::{Receiver, Sender, bounded};

use super::generation::Generation;

/// A reference to a generation, for one worker and its clones there. The control plane learns when the last one
/// is dropped. To follow it costs what an `Arc` costs.
#[derive(Clone)]
pub struct GenerationHandle {
    generation: Arc<Generation>,
    /// Declared after `generation` on purpose. Fields are dropped in order: when the channel closes, this handle has
    /// already released the generation.
    _returned: Sender<Infallible>,
}

impl GenerationHandle {
    /// The first handle of a generation. The channel closes when the last clone is dropped.
    pub fn new(generation: Arc<Generation>) -> (Self, Receiver<Infallible>) {
        let (_returned, closes) = bounded(1);
        (Self { generation, _returned }, closes)
    }
}

impl Deref for GenerationHandle {
    type Target = Generation;

    fn deref(&self) -> &Generation {
        &self.generation
    }
}
