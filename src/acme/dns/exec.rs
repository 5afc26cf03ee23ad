//! A program that writes records, called as lego calls one: `PROGRAM present NAME. VALUE`, later `cleanup`.

use std::env;
use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::Timer;

use super::record::Published;

/// The longest run. Then the program is killed.
const TIME_MAX: Duration = Duration::from_secs(90);
/// The time between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes of its errors that are kept.
const ERRORS_BYTES_MAX: u64 = 4096;
/// Variables that every program gets.
const USUAL: [&str; 2] = ["PATH", "HOME"];

/// A program that is killed if the wait for it ends first.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the program. No shell is used, and its environment has a few variables only.
pub(super) async fn run(
    command: &[Arc<str>],
    environment: &[Arc<str>],
    record: &Published,
    adds: bool,
) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else { return Err("no program".to_owned()) };
    let mut command = Command::new(&**program);
    command.args(arguments.iter().map(|argument| &**argument));
    command.args([if adds { "present" } else { "cleanup" }, &format!("{}.", record.name), &record.value]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).env_clear();
    let names = USUAL.into_iter().chain(environment.iter().map(|name| &**name));
    command.envs(names.filter_map(|name| Some((name, env::var_os(name)?))));
    let spawned = smol::unblock(move || command.spawn()).await;
    let mut child = spawned.map_err(|error| format!("{program} cannot be run: {error}"))?;
    let errors = child.stderr.take();
    let said = smol::unblock(move || errors.map(read_errors).unwrap_or_default());
    let status = ended(Running(child)).await;
    let status = status.map_err(|error| format!("{program}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let said = said.await;
    Err(format!("{program} failed ({status}): {}", said.trim().lines().last().unwrap_or("it says nothing")))
}

async fn ended(mut running: Running) -> io::Result<ExitStatus> {
    let begun = Instant::now();
    loop {
        if let Some(status) = running.0.try_wait()? {
            return Ok(status);
        }
        if begun.elapsed() > TIME_MAX {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("it has not ended within {TIME_MAX:?}"),
            ));
        }
        Timer::after(LOOK).await;
    }
}

/// The beginning of what the program says. The rest is read too, so that the program does not wait.
fn read_errors(mut errors: impl Read) -> String {
    let mut kept = Vec::new();
    // An error ends the text, which may be empty.
    let _ = errors.by_ref().take(ERRORS_BYTES_MAX).read_to_end(&mut kept);
    let _ = io::copy(&mut errors, &mut io::sink());
    String::from_utf8_lossy(&kept).into_owned()
}
