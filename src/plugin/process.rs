//! The process of a plugin, over all of its lives. A task of the control plane.
//!
//! ```text
//!   start --> configure --> ready --> calls by workers --> end --> pause of 1, 2, 4 ... 30 s --> start
//!                                                          stop: close stdin, 2 s, TERM, 2 s, KILL
//! ```

use std::convert::Infallible;
use std::env;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::{AsyncRead, AsyncReadExt, AsyncWriteExt, FutureExt, future};
use rustix::process::{Pid, Signal, kill_process_group};
use smol::Timer;
use smol::channel::{Receiver, Sender};
use smol::net::unix::UnixStream;
use smol::process::{Child, ChildStdin, Command, Stdio};

use super::call::is_own;
use super::plugin::{CallResult, Plugin, Ready, Shared};
use super::protocol::frame::Hook;
use super::protocol::lines::{LINE_MAX, Lines, Logged, Ready as ReadyLine, Said, configure, read};
use super::protocol::messages::DisconnectInfo;
use super::told::{Told, show};
use crate::config::plan::PluginEnvironment;
use crate::metrics::PluginCounters;

/// The pause before the first start after an end. It is doubled with each.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A process that has lived this long begins with the first pause again.
const LONG_LIFE: Duration = Duration::from_secs(60);

/// How long a process may take to end, after each of the steps.
const STOP_TIME: Duration = Duration::from_secs(2);

/// How long a plugin may take to receive the end of an exchange.
const END_TIME: Duration = Duration::from_millis(100);

/// Bytes of the longest line of standard error that is logged.
const ERROR_LINE_MAX: usize = 4 * 1024;

/// Variables that every program needs.
const VARIABLES: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

impl Plugin {
    /// Starts the process, the first time that this is called. `alive` is held until it has ended.
    pub fn start(&self, counters: Arc<PluginCounters>, alive: Sender<Infallible>) {
        if let Some(stop) = self.take_stop(counters) {
            smol::spawn(run(self.shared.clone(), stop, alive)).detach();
        }
    }
}

/// Starts the process again and again until `stop` closes. `alive` is held until then.
async fn run(shared: Arc<Shared>, stop: Receiver<Infallible>, alive: Sender<Infallible>) {
    let mut pause = PAUSE;
    loop {
        let began = Instant::now();
        match start(&shared) {
            Ok(mut child) => {
                let why = live(&shared, &mut child, &stop).await;
                shared.set_ready(None);
                end(&mut child).await;
                if why.is_none() {
                    break;
                }
                let (name, why) = (&*shared.plan.name, why.unwrap_or_default());
                tracing::error!(plugin = name, why, "plugin ended; it is started again");
            }
            Err(error) => {
                let (name, command) = (&*shared.plan.name, shared.plan.command.display());
                tracing::error!(plugin = name, %command, %error, "plugin cannot be started; it is tried again");
            }
        }
        if began.elapsed() >= LONG_LIFE {
            pause = PAUSE;
        }
        let is_stopped = wait(pause, &stop).await;
        if is_stopped {
            break;
        }
        shared.count_restart();
        pause = (pause * 2).min(PAUSE_MAX);
    }
    drop(alive);
}

/// Waits, or until the stop. Returns whether that has come.
async fn wait(time: Duration, stop: &Receiver<Infallible>) -> bool {
    let late = async {
        Timer::after(time).await;
        false
    };
    // Nothing can be sent, so `recv` returns when the channel closes.
    let stopped = async { stop.recv().await.is_err() };
    late.or(stopped).await
}

/// Starts the process: without a shell, with few variables, and at the head of a process group of its own.
fn start(shared: &Shared) -> io::Result<Child> {
    let plan = &shared.plan;
    let mut command = std::process::Command::new(&plan.command);
    command.args(plan.arguments.iter().map(|argument| &**argument)).process_group(0);
    if let PluginEnvironment::Named(names) = &plan.environment {
        let names = VARIABLES.iter().copied().chain(names.iter().map(|name| &**name));
        let values = names.filter_map(|name| Some((name, env::var_os(name)?)));
        command.env_clear().envs(values);
    }
    let mut command = Command::from(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn()
}

/// Serves the process until it ends, and then returns why. `None`: it is to stop. Its standard input is closed then.
async fn live(shared: &Shared, child: &mut Child, stop: &Receiver<Infallible>) -> Option<String> {
    let process = child.id();
    let (input, output, errors) = (child.stdin.take()?, child.stdout.take()?, child.stderr.take()?);
    let heard = hear(shared, process, output);
    let told = tell(shared, input);
    let logged = async {
        log_errors(shared, errors).await;
        future::pending().await
    };
    let ends = async {
        tell_ends(shared).await;
        future::pending().await
    };
    let ended = async {
        Some(match child.status().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        })
    };
    let stopped = async {
        // Nothing can be sent, so `recv` returns when the channel closes.
        let _ = stop.recv().await;
        None
    };
    // The status comes first, because it says more than a closed output.
    stopped.or(ended).or(told).or(heard).or(logged).or(ends).await
}

/// Ends the process and all others of its group.
async fn end(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    for signal in [None, Some(Signal::TERM), Some(Signal::KILL)] {
        if let (Some(signal), Some(group)) = (signal, group) {
            // It fails if the group has ended.
            let _ = kill_process_group(group, signal);
        }
        let late = async {
            Timer::after(STOP_TIME).await;
            false
        };
        let ended = async { child.status().await.is_ok() };
        if ended.or(late).await {
            break;
        }
    }
    // Processes that it has started and left behind end too.
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Tells the process of the rules, at once and when they change.
async fn tell(shared: &Shared, mut input: ChildStdin) -> Option<String> {
    loop {
        let changed = shared.routes_changed();
        let routes = shared.routes().clone();
        for [route, domain, path] in routes {
            let line = configure(&route, &domain, &path);
            // A process that does not read ends, or is stopped: nothing else waits for this.
            if let Err(error) = input.write_all(line.as_bytes()).await {
                return Some(format!("it closed its standard input: {error}"));
            }
        }
        if let Err(error) = input.flush().await {
            return Some(format!("it closed its standard input: {error}"));
        }
        changed.await;
    }
}

/// Takes what the process says, until it says no more.
async fn hear(shared: &Shared, process: u32, mut output: impl AsyncRead + Unpin) -> Option<String> {
    let (mut lines, mut told, mut bytes) = (Lines::default(), Told::default(), vec![0; 16 * 1024]);
    loop {
        match output.read(&mut bytes).await {
            Ok(0) => return Some("it closed its standard output".to_owned()),
            Ok(count) => lines.take(&bytes[..count], LINE_MAX, |line| {
                take(shared, process, line, &mut told);
            }),
            Err(error) => return Some(format!("its standard output failed: {error}")),
        }
    }
}

/// Takes one line. `None` stands for a line that was too long.
fn take(shared: &Shared, process: u32, line: Option<&[u8]>, told: &mut Told) {
    let name = &*shared.plan.name;
    let said = match line {
        None => Err(format!("it is longer than {LINE_MAX} bytes")),
        Some(line) if line.trim_ascii().is_empty() => return,
        Some(line) => read(line),
    };
    match said {
        Ok(Said::Ready(ready)) => take_ready(shared, process, &ready),
        Ok(Said::Log(Logged { level, message, args })) => {
            if let Some(left_out) = told.admit(Instant::now()) {
                show(name, &level, &message, &args, left_out);
            }
        }
        Ok(Said::Targets(_)) => {
            tracing::warn!(plugin = name, "plugin sets targets, which this gate does not take");
        }
        Ok(Said::Speed(_)) => {
            tracing::warn!(plugin = name, "plugin sets a speed, which this gate does not take");
        }
        Ok(Said::Acknowledged) => {}
        Ok(Said::Error(error)) => tracing::warn!(plugin = name, error, "plugin did not take a line"),
        Err(why) => {
            if told.admit(Instant::now()).is_some() {
                tracing::warn!(plugin = name, why, "plugin said something that is not understood");
            }
        }
    }
}

fn take_ready(shared: &Shared, process: u32, line: &ReadyLine) {
    let name = &*shared.plan.name;
    if !line.socket.starts_with('/') {
        tracing::warn!(plugin = name, socket = line.socket, "plugin is ready without the path of a socket");
        return;
    }
    let Some(encoding) = line.known_encoding() else {
        let encoding = &*line.encoding;
        tracing::error!(
            plugin = name,
            encoding,
            "plugin asks for an encoding that is neither msgpack nor json"
        );
        return;
    };
    let (hooks, unknown) = line.hook_bits();
    if !unknown.is_empty() {
        tracing::warn!(plugin = name, hooks = unknown.join(", "), "plugin has hooks that are not known");
    }
    if shared.ready().is_none() {
        tracing::info!(plugin = name, process, hooks = line.hooks.join(", "), "plugin ready");
    }
    let socket = line.socket.clone();
    shared.set_ready(Some(Ready { socket, process, hooks, encoding, body: line.body, epoch: 0 }));
}

/// Logs what the process writes to its standard error.
async fn log_errors(shared: &Shared, mut errors: impl AsyncRead + Unpin) {
    let (mut lines, mut told, mut bytes) = (Lines::default(), Told::default(), vec![0; 4 * 1024]);
    loop {
        match errors.read(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(count) => lines.take(&bytes[..count], ERROR_LINE_MAX, |line| {
                let Some(left_out) = told.admit(Instant::now()) else { return };
                let line = String::from_utf8_lossy(line.unwrap_or(b"(a line that is too long)"));
                show(&shared.plan.name, "info", line.trim_end(), &[], left_out);
            }),
        }
    }
}

/// Tells the process of the ends of exchanges. It is told each once, or not at all.
async fn tell_ends(shared: &Shared) {
    let mut link: Option<(u64, UnixStream)> = None;
    while let Ok(info) = shared.ends().recv().await {
        let sent = async { tell_end(shared, &info, &mut link).await };
        let late = async {
            Timer::after(END_TIME).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        let result = match sent.or(late).await {
            Ok(()) => CallResult::Ok,
            Err(error) => {
                // A part of a frame may have been sent.
                link = None;
                if error.kind() == io::ErrorKind::TimedOut { CallResult::Timeout } else { CallResult::Failed }
            }
        };
        shared.count(Hook::Disconnect, result);
    }
}

async fn tell_end(
    shared: &Shared,
    info: &DisconnectInfo,
    link: &mut Option<(u64, UnixStream)>,
) -> io::Result<()> {
    let ready = shared.ready().ok_or(io::ErrorKind::NotConnected)?;
    let frame = ready.encoding.call(Hook::Disconnect, &info.value());
    let frame = frame.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    if link.as_ref().is_none_or(|(epoch, _)| *epoch != ready.epoch) {
        let stream = UnixStream::connect(&ready.socket).await?;
        if !is_own(stream.as_fd(), ready.process)? {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        *link = Some((ready.epoch, stream));
    }
    let Some((_, stream)) = link else { return Err(io::ErrorKind::NotConnected.into()) };
    stream.write_all(&frame).await
}
