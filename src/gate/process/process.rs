//! Signals, the service manager, and the limit of open files.
//!
//! Signals are received at any time, whatever the gate is doing, because their thread does nothing else. A start
//! runs on another thread, a reload is a task, and a stop cancels both.

use std::ffi::OsStr;
use std::future::Future;
use std::io;
use std::os::unix::ffi::OsStrExt;

use async_signal::{Signal, Signals};
use futures_lite::{FutureExt, StreamExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, SockAddr, Socket, Type};

/// The signals of the process, caught since this value was made.
///
/// It is made before anything is read or started, for two reasons. A program that sees the gate listen may send a
/// signal at once. And a signal that is not caught does not end the first process of a container.
pub struct CaughtSignals {
    signals: Signals,
    /// HUP came before the gate could reload.
    pub(in crate::gate) hung_up: bool,
}

/// The request that a signal stands for.
pub(in crate::gate) enum SignalRequest {
    /// TERM, INT or QUIT.
    Stop,
    /// HUP.
    Reload,
    /// USR1.
    Reopen,
    /// USR2.
    Replace,
}

impl CaughtSignals {
    /// Catches TERM, INT, QUIT, HUP, USR1 and USR2.
    ///
    /// # Errors
    /// Signals cannot be received.
    pub fn new() -> io::Result<Self> {
        let signals = [Signal::Term, Signal::Int, Signal::Quit, Signal::Hup, Signal::Usr1, Signal::Usr2];
        Ok(Self { signals: Signals::new(signals)?, hung_up: false })
    }

    /// Runs `work`, which may block, and returns its result. Returns `None` if a signal asks to stop before that.
    /// Then the work goes on without a caller and ends with the process. HUP is kept for later.
    ///
    /// # Errors
    /// Signals cannot be received.
    pub fn unless_stopped<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Option<T>> {
        smol::block_on(self.beside(smol::unblock(work)))
    }

    /// As [`CaughtSignals::unless_stopped`], with a future.
    pub(in crate::gate) async fn beside<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> io::Result<Option<T>> {
        let stopped = async {
            loop {
                match self.next_request().await? {
                    SignalRequest::Stop => return Ok(None),
                    SignalRequest::Reload => self.hung_up = true,
                    SignalRequest::Reopen | SignalRequest::Replace => {}
                }
            }
        };
        async { Ok(Some(work.await)) }.or(stopped).await
    }

    pub(in crate::gate) async fn next_request(&mut self) -> io::Result<SignalRequest> {
        match self.signals.next().await {
            Some(Ok(Signal::Hup)) => Ok(SignalRequest::Reload),
            Some(Ok(Signal::Usr1)) => Ok(SignalRequest::Reopen),
            Some(Ok(Signal::Usr2)) => Ok(SignalRequest::Replace),
            Some(Ok(_)) | None => Ok(SignalRequest::Stop),
            Some(Err(error)) => Err(error),
        }
    }
}

/// Sends one message to the socket that `NOTIFY_SOCKET` names. Without that variable it does nothing.
pub(in crate::gate) fn notify(message: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send_to(&path, message) {
        tracing::debug!(%error, message, "systemd was not told");
    }
}

/// Reports that the gate serves, with the first line of `status` for `systemctl status`.
pub(in crate::gate) fn notify_ready(status: &str) {
    notify(&format!("READY=1\nSTATUS={}", status.lines().next().unwrap_or_default()));
}

/// Reports that a reload begins, with the time, as systemd wants it (sd_notify(3)).
pub(in crate::gate) fn notify_reloading() {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
    notify(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
}

fn send_to(path: &OsStr, message: &str) -> io::Result<()> {
    let mut path = path.as_bytes().to_vec();
    // The name of an abstract socket, which only Linux has, begins with a zero byte.
    if let Some(first @ b'@') = path.first_mut() {
        *first = 0;
    }
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    socket.send_to(message.as_bytes(), &SockAddr::unix(OsStr::from_bytes(&path))?)?;
    Ok(())
}

/// Raises the limit of open files as far as the system allows. Each connection needs one, and the usual soft limit
/// of 1,024 is from the time of `select`.
pub(in crate::gate) fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::debug!(%error, "the limit on open files stays as it is");
    }
}
