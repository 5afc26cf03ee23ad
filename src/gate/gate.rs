//! One running gate, as the command line and the tests have it.

use std::io;
use std::net::SocketAddr;
use std::process::exit;
use std::sync::Arc;
use std::time::Duration;

use smol::Task;
use smol::channel::{Sender, bounded};

use super::error::{GateError, Loader, OnPlan};
use super::process::{CaughtSignals, SignalRequest};
use super::state::GateState;
use crate::metrics::Counters;
use crate::upstream::NameCache;
use crate::worker;

/// The exit status after a second request to stop.
const EXIT_SECOND_SIGNAL: i32 = 130;

/// A running gate. Stops, after draining, when dropped.
pub struct Gate {
    pub(super) state: Arc<GateState>,
}

impl Gate {
    /// Starts the workers, the listeners and the internal API. Returns when every listener accepts.
    ///
    /// # Errors
    /// [`GateError`]; nothing is left running then.
    pub fn start(loader: Loader) -> Result<Self, GateError> {
        Self::start_with(loader, Counters::new(), Box::new(|_| {}))
    }

    /// The same with counters that exist already, and a function that is told of each plan that
    /// comes into force after the first.
    ///
    /// # Errors
    /// As [`Gate::start`].
    pub fn start_with(loader: Loader, counters: Arc<Counters>, on_plan: OnPlan) -> Result<Self, GateError> {
        Self::start_asking(NameCache::default(), loader, counters, on_plan)
    }

    /// The same, where names of targets are asked of another resolver than that of the system.
    ///
    /// # Errors
    /// As [`Gate::start`].
    pub fn start_asking(
        name_cache: NameCache,
        loader: Loader,
        counters: Arc<Counters>,
        on_plan: OnPlan,
    ) -> Result<Self, GateError> {
        let state = GateState::new(loader, counters, on_plan, name_cache)?;
        smol::block_on(state.start())?;
        Ok(Self { state })
    }

    /// Where the listener of that name accepts: the first of its addresses, with the port that the
    /// system chose for port 0.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.state.address(listener)
    }

    /// Where the internal API listens, when that is a TCP address.
    pub fn internal_address(&self) -> Option<SocketAddr> {
        smol::block_on(self.state.internal_address())
    }

    /// Reads the configuration again and puts it into force; with `restart`, on new workers and new sockets,
    /// while those of before drain. Blocks. What changed, in one line.
    ///
    /// # Errors
    /// [`GateError`]; the old configuration stays in force then.
    pub fn reload(&self, restart: bool) -> Result<String, GateError> {
        smol::block_on(self.state.reload(restart))
    }

    /// One line for the log: what is listened on, where the internal API is.
    pub fn summary(&self) -> String {
        let listeners: Vec<String> =
            self.state.listening().iter().map(|(name, address)| format!("{name} on {address}")).collect();
        let listeners = if listeners.is_empty() { "nothing".into() } else { listeners.join(", ") };
        match self.internal_address() {
            Some(address) => format!("listening: {listeners}; internal API on {address}"),
            None => format!("listening: {listeners}; internal API on a Unix socket"),
        }
    }

    /// Opens log files again, after they were moved away.
    pub fn reopen_logs(&self) {
        self.state.reopen_logs();
    }

    /// Stops accepting, lets exchanges end within the `shutdown_timeout` of their listener, and ends. Blocks.
    pub fn stop(self) {
        drop(self);
    }

    /// Serves until TERM, INT or QUIT, then drains and stops; a second one of them ends the process
    /// at once. HUP reloads and opens log files again; USR1 does only the latter. Blocks.
    ///
    /// # Errors
    /// When signals cannot be listened for.
    pub fn serve_until_stopped(self, mut caught: CaughtSignals) -> io::Result<()> {
        // Everything has started.
        worker::release_startup_code();
        let (reload, reloading) = reloads(self.state.clone());
        // When one waits already, it will read what is written now.
        let ask = || {
            let _ = reload.try_send(());
        };
        if caught.hung_up {
            ask();
        }
        smol::block_on(async {
            loop {
                match caught.next_request().await? {
                    SignalRequest::Stop => break,
                    SignalRequest::Reload => ask(),
                    SignalRequest::Reopen => self.reopen_logs(),
                }
            }
            tracing::info!("stopping: no new connections, {:?} for those in flight", self.timeout());
            if caught.beside(self.state.stop()).await?.is_none() {
                exit(EXIT_SECOND_SIGNAL);
            }
            drop(reloading);
            Ok(())
        })
    }

    /// The longest `shutdown_timeout` of a listener.
    fn timeout(&self) -> Duration {
        let generation = self.state.current();
        let listeners = generation.iter().flat_map(|generation| &generation.plan.listeners);
        listeners.map(|listener| listener.shutdown_timeout).max().unwrap_or_default()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        smol::block_on(self.state.stop());
    }
}

/// The task that reloads and opens log files again whenever it is asked to, one time after the other.
fn reloads(state: Arc<GateState>) -> (Sender<()>, Task<()>) {
    let (ask, asked) = bounded(1);
    let task = smol::spawn(async move {
        while asked.recv().await.is_ok() {
            // The log says how it ended.
            drop(state.reload(false).await);
            state.reopen_logs();
        }
    });
    (ask, task)
}
