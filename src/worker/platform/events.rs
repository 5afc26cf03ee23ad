//! Events by way of `polling`: all of them where a system has no better way, and its own ones on Linux.

use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::worker::reactor::Readiness;

/// Events taken from the kernel in one wait.
const EVENTS: NonZeroUsize = NonZeroUsize::new(256).expect("invariant: not zero");

/// Events out of the kernel, by way of `polling`.
pub(crate) struct Wait {
    events: polling::Events,
}

impl Wait {
    pub(crate) fn new() -> Self {
        Self { events: polling::Events::with_capacity(EVENTS) }
    }

    pub(crate) fn wait(
        &mut self,
        poller: &polling::Poller,
        timeout: Option<Duration>,
        mut each: impl FnMut(usize, Readiness),
    ) -> io::Result<()> {
        self.events.clear();
        poller.wait(&mut self.events, timeout)?;
        for event in self.events.iter() {
            // `polling` does not say whether the peer has finished, so it may have.
            let closed = event.is_interrupt() || event.is_err() == Some(true);
            each(
                event.key,
                Readiness {
                    readable: event.readable,
                    writable: event.writable,
                    may_have_ended: true,
                    closed,
                },
            );
        }
        Ok(())
    }
}
