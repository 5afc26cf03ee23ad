//! `Gate`: one running smolgate, as the command line and the tests use it.

use std::io;
use std::net::SocketAddr;
use std::process::exit;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::Task;
use smol::channel::{Sender, bounded};

use super::error::{ChangedLoader, Explainer, GateError, Loader, OnPlan};
use super::process::{CaughtSignals, Inherited, SignalRequest};
use super::state::GateState;
use crate::config::Overlay;
use crate::metrics::Counters;
use crate::upstream::NameCache;
use crate::worker;

/// The exit status after a second request to stop.
const EXIT_SECOND_SIGNAL: i32 = 130;

/// A running gate. Dropping it drains and stops it.
pub struct Gate {
    pub(super) state: Arc<GateState>,
}

impl Gate {
    /// Starts the workers, the listeners and the internal API. Returns when every listener accepts.
    ///
    /// # Errors
    /// [`GateError`]. Then nothing is left running.
    pub fn start(loader: Loader) -> Result<Self, GateError> {
        Self::start_with(loader, Counters::new(), Box::new(|_| {}))
    }

    /// As [`Gate::start`], with counters that exist already and a function for each plan that takes effect after
    /// the first.
    ///
    /// # Errors
    /// As [`Gate::start`].
    pub fn start_with(loader: Loader, counters: Arc<Counters>, on_plan: OnPlan) -> Result<Self, GateError> {
        let loader = Box::new(move |_: &Overlay| loader());
        Self::start_asking(NameCache::default(), loader, counters, on_plan)
    }

    /// As [`Gate::start_with`], with listening sockets that are open already, and with the changes of the control API.
    ///
    /// # Errors
    /// As [`Gate::start`].
    pub fn start_on(
        inherited: Inherited,
        loader: ChangedLoader,
        counters: Arc<Counters>,
        on_plan: OnPlan,
    ) -> Result<Self, GateError> {
        let state = GateState::new(loader, counters, on_plan, NameCache::default())?;
        smol::block_on(state.start(inherited))?;
        Ok(Self { state })
    }

    /// As [`Gate::start_with`], with the changes of the control API, and with a cache of names that may ask
    /// another resolver than the system's.
    ///
    /// # Errors
    /// As [`Gate::start`].
    pub fn start_asking(
        name_cache: NameCache,
        loader: ChangedLoader,
        counters: Arc<Counters>,
        on_plan: OnPlan,
    ) -> Result<Self, GateError> {
        let state = GateState::new(loader, counters, on_plan, name_cache)?;
        smol::block_on(state.start(Inherited::default()))?;
        Ok(Self { state })
    }

    /// Lets the internal API explain which rule takes a request. A second call changes nothing.
    pub fn explain_with(&self, explainer: Explainer) {
        let _ = self.state.explainer.set(explainer);
    }

    /// The first address on which the listener of that name accepts. Port 0 is replaced by the port that the
    /// system chose.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.state.address(listener)
    }

    /// The TCP address of the internal API. `None` if it listens on a Unix socket.
    pub fn internal_address(&self) -> Option<SocketAddr> {
        smol::block_on(self.state.internal_address())
    }

    /// Reads the configuration again and applies it. Blocks. Returns what changed, in one line.
    ///
    /// With `restart`, new workers with new sockets serve it while the old workers drain.
    ///
    /// # Errors
    /// [`GateError`]. Then the old configuration stays in use.
    pub fn reload(&self, restart: bool) -> Result<String, GateError> {
        smol::block_on(self.state.reload(restart))
    }

    /// One line for the log: the address of each listener and of the internal API.
    pub fn summary(&self) -> String {
        let listeners: Vec<String> =
            self.state.listening().iter().map(|(name, address)| format!("{name} on {address}")).collect();
        let listeners = if listeners.is_empty() { "nothing".into() } else { listeners.join(", ") };
        let internal = match (self.internal_address(), self.state.current()) {
            (Some(address), _) => address.to_string(),
            (None, Some(current)) => current.plan.internal_api.bind.to_string(),
            (None, None) => "a Unix socket".to_owned(),
        };
        format!("listening: {listeners}; internal API on {internal}")
    }

    /// Opens the log files again after they were moved away.
    pub fn reopen_logs(&self) {
        self.state.reopen_logs();
    }

    /// Stops accepting, lets each exchange end within the `shutdown_timeout` of its listener, and stops. Blocks.
    pub fn stop(self) {
        drop(self);
    }

    /// Serves until TERM, INT or QUIT, then drains and stops. A second one of these signals ends the process at
    /// once. HUP reloads and opens the log files again; USR1 only opens them. USR2 starts the program anew, with the same
    /// sockets; this process drains and ends when the new one accepts. Blocks.
    ///
    /// # Errors
    /// Signals cannot be received.
    pub fn serve_until_stopped(self, mut caught: CaughtSignals) -> io::Result<()> {
        // Everything has started, so the code of the start is not needed any more.
        worker::release_startup_code();
        let (reload, reloading) = reloads(self.state.clone());
        // A full channel is fine: the reload that waits there will read the newest files.
        let ask = || {
            let _ = reload.try_send(());
        };
        if std::mem::take(&mut caught.hung_up) {
            ask();
        }
        let mut replaced = None;
        smol::block_on(async {
            loop {
                match caught.next_request().await? {
                    SignalRequest::Stop => break,
                    SignalRequest::Reload => ask(),
                    SignalRequest::Reopen => self.reopen_logs(),
                    SignalRequest::Replace => match caught.beside(self.state.start_successor()).await? {
                        None => break,
                        Some(Ok(successor)) => {
                            replaced = Some(successor);
                            break;
                        }
                        Some(Err(error)) => {
                            tracing::error!(%error, "the gate cannot be replaced, and goes on")
                        }
                    },
                }
                if std::mem::take(&mut caught.hung_up) {
                    ask();
                }
            }
            if let Some(successor) = &replaced {
                tracing::info!("process {} accepts connections from now on", successor.process());
            }
            tracing::info!("stopping: no new connections, {:?} for those in flight", self.timeout());
            let asked = Instant::now();
            if caught.beside(self.state.stop(replaced.is_some())).await?.is_none() {
                exit(EXIT_SECOND_SIGNAL);
            }
            tracing::info!("stopped, {:.1} s after the signal", asked.elapsed().as_secs_f64());
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
        smol::block_on(self.state.stop(false));
    }
}

/// Starts the task that reloads and opens the log files again at each request, one request after the other.
fn reloads(state: Arc<GateState>) -> (Sender<()>, Task<()>) {
    let (ask, asked) = bounded(1);
    let task = smol::spawn(async move {
        while asked.recv().await.is_ok() {
            // The log tells the result.
            drop(state.reload(false).await);
            state.reopen_logs();
        }
    });
    (ask, task)
}
