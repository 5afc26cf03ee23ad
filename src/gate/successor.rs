//! A new process of the program that goes on with the listening sockets: an upgrade without a refused connection.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;

use super::process::{self, OF_MANAGER, PASSED_ON, PassedOn};
use super::state::GateState;
use super::workers::SharedSocket;

/// The longest time until the new process accepts connections.
const START_MAX: Duration = Duration::from_secs(60);

/// The new process. Dropped before it accepts, it ends: this process stops then, and nothing else may go on.
pub(super) struct Successor {
    child: Child,
    accepts: bool,
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.accepts {
            // It may have ended by itself.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl GateState {
    /// Starts the program again, with the sockets of all listeners and of the internal API. Returns when it accepts. No
    /// reload runs meanwhile.
    ///
    /// # Errors
    /// The program cannot be started, or has ended before it accepted. Then this process goes on as before.
    pub(super) async fn start_successor(self: &Arc<Self>) -> io::Result<Successor> {
        if rustix::process::getpid().is_init() {
            return Err(io::Error::other(
                "it is the first process of its container, which would end with it",
            ));
        }
        let running = self.running.lock().await;
        let running = running.as_ref().ok_or_else(|| io::Error::other("the gate is stopping"))?;
        let mut sockets = running.workers.share().await?;
        sockets.push((None, running.internal.share()?));
        let (mut successor, started) = Successor::spawn(&sockets)?;
        drop(sockets);
        let has_started = smol::unblock(move || has_started(started));
        let too_late = async {
            smol::Timer::after(START_MAX).await;
            false
        };
        if has_started.or(too_late).await {
            successor.accepts = true;
            process::notify(&format!("MAINPID={}", successor.process()));
            return Ok(successor);
        }
        let _ = successor.child.kill();
        let status = successor.child.wait()?;
        Err(io::Error::other(format!("the new process has not started ({status}); its log says why")))
    }
}

impl Successor {
    /// Starts the program with the arguments of this process. Returns the pipe that it writes to when it accepts.
    fn spawn(sockets: &[SharedSocket]) -> io::Result<(Self, File)> {
        let (started, to_start) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        // These copies stay open in the new process, and are closed here as soon as it runs.
        let to_start = rustix::io::dup(to_start)?;
        let copies = sockets.iter().map(|(_, socket)| rustix::io::dup(socket));
        let copies = copies.collect::<Result<Vec<OwnedFd>, _>>()?;
        let names = sockets.iter().map(|(name, _)| name.as_deref().map(str::to_owned));
        let passed_on = PassedOn {
            started: to_start.as_raw_fd(),
            sockets: copies.iter().map(AsRawFd::as_raw_fd).zip(names).collect(),
        };
        let mut arguments = std::env::args_os();
        let program = arguments.next().ok_or_else(|| io::Error::other("the program has no name"))?;
        let mut command = Command::new(program);
        command.args(arguments).env(PASSED_ON, serde_json::to_string(&passed_on)?);
        for variable in OF_MANAGER {
            command.env_remove(variable);
        }
        Ok((Self { child: command.spawn()?, accepts: false }, File::from(started)))
    }

    /// The number of the process.
    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }
}

/// Waits until the new process has started. Returns `false` if it ended before that.
fn has_started(mut started: File) -> bool {
    matches!(started.read(&mut [0]), Ok(1))
}
