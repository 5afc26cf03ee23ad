//! A call from a worker, over a connection of its own.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Weak};
use std::time::Instant;

use futures_lite::future;
use rustix::process::{Pid, getpgid};

use super::plugin::{CallResult, Plugin, Ready, Shared};
use super::protocol::frame::{Encoding, Hook, LENGTH_BYTES, frame_length};
use super::protocol::value::{MessageError, Value};
use crate::worker::{TcpStream, Worker, peer_process};

/// Idle connections of one worker to one plugin.
const IDLE_MAX: usize = 16;

/// Bytes of one read. An answer is mostly shorter.
const READ_BYTES: usize = 4 * 1024;

/// Why a call has no answer.
#[derive(Debug)]
pub enum CallError {
    /// The process does not run, or has not said that it is ready.
    NotReady,
    /// As many calls as may be are open.
    Busy,
    /// Calls have failed in a row, and none is tried for a while.
    Down,
    /// The answer did not come in time.
    Timeout,
    /// The socket belongs to another process.
    Stranger,
    /// The connection has failed.
    Io(io::Error),
    /// The answer is none.
    Answer(MessageError),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => f.write_str("it is not ready"),
            Self::Busy => f.write_str("as many calls as max_calls are open"),
            Self::Down => f.write_str("its last calls have failed"),
            Self::Timeout => f.write_str("it did not answer in time"),
            Self::Stranger => f.write_str("its socket belongs to a process that it did not start"),
            Self::Io(error) => write!(f, "its socket failed: {error}"),
            Self::Answer(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for CallError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<MessageError> for CallError {
    fn from(error: MessageError) -> Self {
        Self::Answer(error)
    }
}

/// The idle connections of one worker to plugins.
#[derive(Default)]
pub struct Links(RefCell<Vec<IdleLinks>>);

struct IdleLinks {
    plugin: Weak<Shared>,
    epoch: u64,
    idle: Vec<TcpStream>,
}

impl Links {
    /// An idle connection to the process. Those that were closed, or on which bytes have come unasked, are dropped.
    fn take(&self, plugin: &Arc<Shared>, epoch: u64) -> Option<TcpStream> {
        let mut links = self.0.borrow_mut();
        let found = links.iter_mut().find(|link| link.plugin.as_ptr() == Arc::as_ptr(plugin))?;
        if found.epoch != epoch {
            found.idle.clear();
            return None;
        }
        while let Some(stream) = found.idle.pop() {
            let is_silent = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
            if stream.read_now(&mut [0]).is_err_and(|error| is_silent(&error)) {
                return Some(stream);
            }
        }
        None
    }

    /// Keeps a connection whose call has ended well.
    fn put(&self, plugin: &Arc<Shared>, epoch: u64, stream: TcpStream) {
        let mut links = self.0.borrow_mut();
        links.retain(|link| link.plugin.strong_count() > 0);
        let of_plugin = |link: &&mut IdleLinks| link.plugin.as_ptr() == Arc::as_ptr(plugin);
        match links.iter_mut().find(of_plugin) {
            Some(link) if link.epoch == epoch && link.idle.len() < IDLE_MAX => link.idle.push(stream),
            Some(link) if link.epoch < epoch => (link.epoch, link.idle) = (epoch, vec![stream]),
            Some(_) => {}
            None => {
                links.push(IdleLinks { plugin: Arc::downgrade(plugin), epoch, idle: vec![stream] });
            }
        }
    }
}

/// Calls a plugin and reads its answer with `read`. The call ends at the deadline at the latest.
///
/// # Errors
/// There is no answer, or `read` refuses it.
pub(super) async fn call<T>(
    plugin: &Plugin,
    (worker, links): (&Worker, &Links),
    (hook, message): (Hook, &Value<'_>),
    deadline: Instant,
    read: impl FnOnce(&Value<'_>) -> Result<(T, CallResult), MessageError>,
) -> Result<T, CallError> {
    let shared = &plugin.shared;
    let asked = ask(shared, (worker, links), (hook, message), deadline).await;
    let read = asked.and_then(|(encoding, bytes)| Ok(read(&encoding.read(&bytes)?)?));
    let result = match &read {
        Ok((_, result)) => *result,
        Err(CallError::Busy | CallError::Down | CallError::NotReady) => CallResult::Busy,
        Err(CallError::Timeout) => CallResult::Timeout,
        Err(_) => CallResult::Failed,
    };
    shared.record(hook, result);
    read.map(|(answer, _)| answer)
}

async fn ask(
    shared: &Arc<Shared>,
    (worker, links): (&Worker, &Links),
    (hook, message): (Hook, &Value<'_>),
    deadline: Instant,
) -> Result<(Encoding, Vec<u8>), CallError> {
    let ready = shared.ready().ok_or(CallError::NotReady)?;
    if shared.is_down() {
        return Err(CallError::Down);
    }
    let _open = shared.begin().ok_or(CallError::Busy)?;
    let frame = ready.encoding.call(hook, message)?;
    let time = deadline.saturating_duration_since(worker.now()).min(shared.plan.settings.timeout);
    let late = async {
        worker.sleep(time).await;
        Err(CallError::Timeout)
    };
    let answer = future::or(exchange(shared, &ready, (worker, links), &frame), late).await?;
    Ok((ready.encoding, answer))
}

/// Sends a frame and reads the answer, on an idle connection or on a new one.
async fn exchange(
    shared: &Arc<Shared>,
    ready: &Ready,
    (worker, links): (&Worker, &Links),
    frame: &[u8],
) -> Result<Vec<u8>, CallError> {
    if let Some(stream) = links.take(shared, ready.epoch) {
        match send_and_read(&stream, frame).await {
            Ok(Some(answer)) => {
                links.put(shared, ready.epoch, stream);
                return Ok(answer);
            }
            // The plugin has closed an idle connection, so it did not see the call.
            Ok(None) => {}
            Err(CallError::Io(error)) if is_closed(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let stream = TcpStream::connect_unix(worker, &ready.socket).await?;
    if !is_own(stream.as_fd(), ready.process)? {
        return Err(CallError::Stranger);
    }
    let answer = send_and_read(&stream, frame).await?;
    let answer = answer.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    links.put(shared, ready.epoch, stream);
    Ok(answer)
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// Whether the peer of a socket is this process, or one of the group that it leads. Where the system does not tell, the
/// socket is trusted.
pub(super) fn is_own(socket: BorrowedFd<'_>, process: u32) -> io::Result<bool> {
    let Some(peer) = peer_process(socket)? else { return Ok(true) };
    if peer == process {
        return Ok(true);
    }
    let group = i32::try_from(peer).ok().and_then(Pid::from_raw).and_then(|peer| getpgid(Some(peer)).ok());
    Ok(group.is_some_and(|group| u32::try_from(group.as_raw_nonzero().get()) == Ok(process)))
}

/// The message of the answer. `None`: the connection was closed before its first byte.
async fn send_and_read(stream: &TcpStream, frame: &[u8]) -> Result<Option<Vec<u8>>, CallError> {
    let mut rest = frame;
    while !rest.is_empty() {
        let written = poll_fn(|cx| stream.poll_write_vectored(cx, &[IoSlice::new(rest)])).await?;
        rest = &rest[written..];
    }
    let (mut bytes, mut length) = (Vec::new(), None);
    loop {
        let before = bytes.len();
        let wanted = length.map_or(READ_BYTES, |length: usize| LENGTH_BYTES + length - before);
        bytes.resize(before + wanted.clamp(1, 16 * READ_BYTES), 0);
        let count = poll_fn(|cx| stream.poll_read(cx, &mut bytes[before..])).await?;
        bytes.truncate(before + count);
        match (count, before) {
            (0, 0) => return Ok(None),
            (0, _) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            _ => {}
        }
        length = frame_length(&bytes)?;
        match length.map(|length| bytes.len().cmp(&(LENGTH_BYTES + length))) {
            Some(std::cmp::Ordering::Equal) => {
                bytes.drain(..LENGTH_BYTES);
                return Ok(Some(bytes));
            }
            // There is one call at a time, so nothing may follow its answer.
            Some(std::cmp::Ordering::Greater) => return Err(MessageError::Surplus.into()),
            Some(std::cmp::Ordering::Less) | None => {}
        }
    }
}
