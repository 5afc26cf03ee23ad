//! Signals, until one of them says to stop.

use std::io;
use std::process::exit;

use async_signal::{Signal, Signals};
use futures_lite::StreamExt;

use super::Gate;
use crate::worker;

/// The exit status after a second request to stop.
const IMPATIENT: i32 = 130;

/// The signals of the process, caught from the moment this is made.
///
/// Made before the gate starts: who sees it listen may send a signal at once, and what is not caught
/// yet ends the process.
pub struct Caught(Signals);

impl Caught {
    /// Catches TERM, INT, QUIT, HUP and USR1.
    ///
    /// # Errors
    /// When signals cannot be listened for.
    pub fn new() -> io::Result<Self> {
        Signals::new([Signal::Term, Signal::Int, Signal::Quit, Signal::Hup, Signal::Usr1]).map(Self)
    }
}

impl Gate {
    /// Serves until TERM, INT or QUIT, then drains and stops; a second one of them ends the process
    /// at once. HUP reloads and opens log files again; USR1 does only the latter. Blocks.
    ///
    /// # Errors
    /// When signals cannot be listened for.
    pub fn serve_until_stopped(self, Caught(mut signals): Caught) -> io::Result<()> {
        // Everybody has started.
        worker::release_code();
        smol::block_on(async {
            while let Some(signal) = signals.next().await {
                match signal? {
                    Signal::Hup => {
                        drop(self.shared.reload(false).await);
                        self.reopen_logs();
                    }
                    Signal::Usr1 => self.reopen_logs(),
                    _ => break,
                }
            }
            io::Result::Ok(())
        })?;
        tracing::info!("stopping: no new connections, {} for those in flight", self.patience());
        smol::spawn(async move {
            while let Some(signal) = signals.next().await {
                if !matches!(signal, Ok(Signal::Hup | Signal::Usr1)) {
                    exit(IMPATIENT);
                }
            }
        })
        .detach();
        self.stop();
        Ok(())
    }

    fn patience(&self) -> String {
        let generation = self.shared.current();
        generation.map_or_else(String::new, |generation| format!("{:?}", generation.plan.shutdown_timeout))
    }
}
