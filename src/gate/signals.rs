//! Signals: heard from the first moment to the last, whatever the gate is doing.
//!
//! The thread that hears them does nothing else. A start runs on another one, a reload is a task, and a stop
//! gives both up.

use std::future::Future;
use std::io;
use std::process::exit;
use std::sync::Arc;
use std::time::Duration;

use async_signal::{Signal, Signals};
use futures_lite::{FutureExt, StreamExt};
use smol::Task;
use smol::channel::{Sender, bounded};

use super::Gate;
use super::running::GateState;
use crate::worker;

/// The exit status after a second request to stop.
const EXIT_SECOND_SIGNAL: i32 = 130;

/// The signals of the process, caught from the moment this is made.
///
/// Made before anything is read or started: a program that sees the gate listen may send a signal at once, and
/// the first process of a container cannot be ended by a signal that is not caught.
pub struct CaughtSignals {
    signals: Signals,
    /// HUP came before there was anything to reload.
    hung_up: bool,
}

/// What a signal asks for.
enum Told {
    /// TERM, INT or QUIT.
    Stop,
    /// HUP.
    Reload,
    /// USR1.
    Reopen,
}

impl CaughtSignals {
    /// Catches TERM, INT, QUIT, HUP and USR1.
    ///
    /// # Errors
    /// When signals cannot be listened for.
    pub fn new() -> io::Result<Self> {
        let signals = [Signal::Term, Signal::Int, Signal::Quit, Signal::Hup, Signal::Usr1];
        Ok(Self { signals: Signals::new(signals)?, hung_up: false })
    }

    /// What `work` gives, which may block; `None` when a signal says to stop before that. Then the work is left
    /// behind, and ends with the process. HUP is kept for later.
    ///
    /// # Errors
    /// When signals cannot be listened for.
    pub fn unless_stopped<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Option<T>> {
        smol::block_on(self.beside(smol::unblock(work)))
    }

    /// The same of a future.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> io::Result<Option<T>> {
        let stopped = async {
            loop {
                match self.told().await? {
                    Told::Stop => return Ok(None),
                    Told::Reload => self.hung_up = true,
                    Told::Reopen => {}
                }
            }
        };
        async { Ok(Some(work.await)) }.or(stopped).await
    }

    async fn told(&mut self) -> io::Result<Told> {
        match self.signals.next().await {
            Some(Ok(Signal::Hup)) => Ok(Told::Reload),
            Some(Ok(Signal::Usr1)) => Ok(Told::Reopen),
            Some(Ok(_)) | None => Ok(Told::Stop),
            Some(Err(error)) => Err(error),
        }
    }
}

impl Gate {
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
                match caught.told().await? {
                    Told::Stop => break,
                    Told::Reload => ask(),
                    Told::Reopen => self.reopen_logs(),
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
