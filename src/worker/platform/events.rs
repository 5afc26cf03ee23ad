//! Events by way of `polling`. Systems without a better way take all events here, Linux only notifications.

use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::worker::source::Readiness;

/// Events that one wait takes from the kernel.
const EVENTS: NonZeroUsize = NonZeroUsize::new(256).expect("invariant: not zero");

/// The wait for events of the kernel, by way of `polling`.
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
            // `polling` does not report whether the peer has finished, so assume that it may have.
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
