//! Runs a program of the operator: without a shell, with few variables, for a limited time.

use std::env;
use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::Timer;

/// The longest run. Then the program is killed.
const TIME_MAX: Duration = Duration::from_secs(90);
/// The time between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(50);
/// The time for the last bytes of its errors, once it has ended. A program that it has started may keep them open.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Bytes of its errors that are kept.
const ERRORS_BYTES_MAX: u64 = 4096;
/// Variables that every program gets.
const USUAL: [&str; 2] = ["PATH", "HOME"];

/// A run of a program.
pub(super) struct Run<'a> {
    /// The program and its first arguments.
    pub(super) command: &'a [Arc<str>],
    /// Further arguments.
    pub(super) arguments: Vec<String>,
    /// The variables of this process that it gets.
    pub(super) environment: &'a [Arc<str>],
    /// Variables of its own.
    pub(super) variables: Vec<(&'static str, String)>,
    /// The bytes that it can read. Empty: there is nothing.
    pub(super) input: Vec<u8>,
}

/// A program that is killed if the wait for it ends first.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Run<'_> {
    /// Waits until the program ends. The error is a sentence, with the last line that the program wrote to its errors.
    pub(super) async fn run(self) -> Result<(), String> {
        let Some((program, first)) = self.command.split_first() else { return Err("no program".to_owned()) };
        let mut command = Command::new(&**program);
        command.args(first.iter().map(|argument| &**argument)).args(&self.arguments);
        let input = if self.input.is_empty() { Stdio::null() } else { Stdio::piped() };
        command.stdin(input).stdout(Stdio::null()).stderr(Stdio::piped()).env_clear();
        let names = USUAL.into_iter().chain(self.environment.iter().map(|name| &**name));
        command.envs(names.filter_map(|name| Some((name, env::var_os(name)?))));
        command.envs(self.variables);
        let spawned = smol::unblock(move || command.spawn()).await;
        let mut child = spawned.map_err(|error| format!("{program} cannot be run: {error}"))?;
        let (stdin, errors) = (child.stdin.take(), child.stderr.take());
        let running = Running(child);
        let text = self.input;
        // The program may read nothing. Then the write ends with it.
        smol::unblock(move || stdin.map(|stdin| write_all(stdin, &text))).detach();
        let said = smol::unblock(move || errors.map(read_errors).unwrap_or_default());
        let status = ended(running).await;
        let status = status.map_err(|error| format!("{program}: {error}"))?;
        if status.success() {
            return Ok(());
        }
        let held = async {
            Timer::after(LAST_WORDS).await;
            "what it says is not known: a program that it started keeps its errors open".to_owned()
        };
        let said = futures_lite::future::or(said, held).await;
        let last = said.trim().lines().last().unwrap_or("it says nothing");
        Err(format!("{program} failed ({status}): {last}"))
    }
}

fn write_all(mut input: ChildStdin, text: &[u8]) {
    // The program may have closed its input.
    let _ = input.write_all(text);
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
