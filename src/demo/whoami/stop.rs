//! The word to stop.

use smol::channel::{self, Receiver, Sender};
use std::convert::Infallible;

/// Tells every part of a server that it is to stop.
#[derive(Clone)]
pub(super) struct Stop(Receiver<Infallible>);

impl Stop {
    /// The word to stop is given by dropping the sender.
    pub(super) fn channel() -> (Sender<Infallible>, Stop) {
        let (stop, asked) = channel::bounded(1);
        (stop, Stop(asked))
    }

    /// Returns once the server is to stop.
    pub(super) async fn asked(&self) {
        // Nothing can be received: the only way out is the closed channel.
        let _ = self.0.recv().await;
    }

    pub(super) fn is_asked(&self) -> bool {
        self.0.is_closed()
    }
}
