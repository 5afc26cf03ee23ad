//! The signal that stops the server.

use smol::channel::{self, Receiver, Sender};
use std::convert::Infallible;

/// Tells every part of a server to stop.
#[derive(Clone)]
pub(super) struct Stop(Receiver<Infallible>);

impl Stop {
    /// A new signal. Dropping the sender gives it.
    pub(super) fn channel() -> (Sender<Infallible>, Stop) {
        let (stop, asked) = channel::bounded(1);
        (stop, Stop(asked))
    }

    /// Returns when the server is to stop.
    pub(super) async fn asked(&self) {
        // Nothing can be received, so `recv` returns when the channel closes.
        let _ = self.0.recv().await;
    }

    pub(super) fn is_asked(&self) -> bool {
        self.0.is_closed()
    }
}
