//! A bounded queue of log lines and the thread that writes them.
//!
//! A sender never waits. If the queue is full, because the disk or the reader of a pipe is too slow, the line
//! is dropped and counted. The thread writes all waiting lines with one call.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::files;

/// The most bytes that may wait. The queue counts them itself. A bounded channel would allocate room for all
/// lines at once, which is the largest allocation of most processes.
pub(super) const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The least number of bytes that a line counts as. It bounds short lines to 8,192.
const LINE_BYTES_MIN: usize = 512;

/// Bytes written with one call, up to one line more.
const BATCH_BYTES: usize = 64 * 1024;

/// The destination of lines.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    /// The path of a file that can be reopened by name.
    path: Option<PathBuf>,
}

impl Output {
    /// Standard output. A copy of the descriptor avoids the lock and the buffer of `std`.
    pub(super) fn stdout() -> io::Result<Output> {
        Ok(Output { file: File::from(io::stdout().as_fd().try_clone_to_owned()?), path: None })
    }

    /// Standard error, in the form of a copy as well.
    pub(super) fn stderr() -> io::Result<Output> {
        Ok(Output { file: File::from(io::stderr().as_fd().try_clone_to_owned()?), path: None })
    }

    /// A file, opened for appending and created if missing. Does not wait for the reader of a FIFO.
    pub(super) fn file(path: &Path) -> io::Result<Output> {
        Ok(Output { file: files::append(path)?, path: Some(path.to_path_buf()) })
    }

    /// Whether a person may be looking.
    pub(super) fn is_terminal(&self) -> bool {
        self.file.is_terminal()
    }

    fn reopen(&mut self) -> io::Result<()> {
        if let Some(path) = &self.path {
            self.file = files::append(path)?;
        }
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A pipe opened without waiting, or a standard output that another program made non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait()?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn wait(&self) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, poll};
        poll(&mut [PollFd::new(&self.file, PollFlags::OUT)], None)?;
        Ok(())
    }
}

/// The sending end; clones share the queue.
#[derive(Clone)]
pub(super) struct Queue {
    sender: Sender<Message>,
    shared: Arc<Shared>,
}

enum Message {
    Line(Vec<u8>),
    /// A request to look at the flags.
    Wake,
}

struct Shared {
    /// Bytes queued and not yet written, as [`weight`] counts them.
    bytes: AtomicUsize,
    /// Lines queued so far.
    pushed: AtomicU64,
    /// Lines written or dropped by the thread so far.
    finished: Mutex<u64>,
    progress: Condvar,
    reopen: AtomicBool,
    stop: AtomicBool,
    dropped: Box<dyn Fn(u64) + Send + Sync>,
    failed: Box<dyn Fn(&io::Error) + Send + Sync>,
}

impl Queue {
    /// Starts the thread. It calls `dropped` with the number of lost lines, and `failed` with the first error
    /// after a success.
    pub(super) fn start(
        thread_name: &str,
        output: Output,
        dropped: impl Fn(u64) + Send + Sync + 'static,
        failed: impl Fn(&io::Error) + Send + Sync + 'static,
    ) -> io::Result<Queue> {
        let (sender, receiver) = channel();
        let shared = Arc::new(Shared {
            bytes: AtomicUsize::new(0),
            pushed: AtomicU64::new(0),
            finished: Mutex::new(0),
            progress: Condvar::new(),
            reopen: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            dropped: Box::new(dropped),
            failed: Box::new(failed),
        });
        let writer = shared.clone();
        thread::Builder::new()
            .name(thread_name.to_string())
            .spawn(move || run(&receiver, output, &writer))?;
        Ok(Queue { sender, shared })
    }

    /// Queues a line with its line end, or drops it. Never waits.
    pub(super) fn push(&self, line: Vec<u8>) {
        if self.shared.stop.load(Ordering::Acquire) {
            return (self.shared.dropped)(1);
        }
        let size = weight(&line);
        let waiting = self.shared.bytes.fetch_add(size, Ordering::Relaxed);
        if waiting + size > QUEUE_BYTES_MAX || self.sender.send(Message::Line(line)).is_err() {
            self.shared.bytes.fetch_sub(size, Ordering::Relaxed);
            (self.shared.dropped)(1);
        } else {
            self.shared.pushed.fetch_add(1, Ordering::Release);
        }
    }

    /// Makes the thread reopen the file by its name.
    pub(super) fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        self.wake();
    }

    /// Waits until the lines queued before are written, at most `limit`. Returns whether they are.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        let goal = self.shared.pushed.load(Ordering::Acquire);
        let deadline = Instant::now() + limit;
        let mut finished = self.shared.finished.lock().unwrap_or_else(PoisonError::into_inner);
        while *finished < goal {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.progress.wait_timeout(finished, left);
            finished = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Ends the thread once the queue is empty. Later lines are dropped and counted.
    pub(super) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        // If the thread has ended, there is nothing to wake.
        let _ = self.sender.send(Message::Wake);
    }
}

fn weight(line: &[u8]) -> usize {
    line.len().max(LINE_BYTES_MIN)
}

/// The loop of the thread. It ends when the last sender is gone or `stop` is set.
fn run(receiver: &Receiver<Message>, mut output: Output, shared: &Shared) {
    let mut batch = Vec::with_capacity(BATCH_BYTES);
    let mut healthy = true;
    while let Ok(first) = receiver.recv() {
        let mut next = Some(first);
        loop {
            let (lines, size) = gather(&mut next, receiver, &mut batch);
            let reopened = if shared.reopen.swap(false, Ordering::AcqRel) { output.reopen() } else { Ok(()) };
            // If the file cannot be reopened, lines go to the old one rather than being lost.
            let written = output.write(&batch);
            if written.is_err() {
                (shared.dropped)(lines);
            }
            let result = written.and(reopened);
            if let (Err(error), true) = (&result, healthy) {
                (shared.failed)(error);
            }
            healthy = result.is_ok();
            shared.bytes.fetch_sub(size, Ordering::Relaxed);
            batch.clear();
            *shared.finished.lock().unwrap_or_else(PoisonError::into_inner) += lines;
            shared.progress.notify_all();
            next = receiver.try_recv().ok();
            if next.is_none() {
                break;
            }
        }
        if shared.stop.load(Ordering::Acquire) {
            return;
        }
    }
}

/// Moves `next` and the messages behind it into the batch until it is full. Returns the number of lines and
/// their weight.
fn gather(next: &mut Option<Message>, receiver: &Receiver<Message>, batch: &mut Vec<u8>) -> (u64, usize) {
    let (mut lines, mut size) = (0, 0);
    while let Some(message) = next.take() {
        if let Message::Line(line) = message {
            batch.extend_from_slice(&line);
            lines += 1;
            size += weight(&line);
        }
        if batch.len() < BATCH_BYTES {
            *next = receiver.try_recv().ok();
        }
    }
    (lines, size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read};

    /// The number of short lines that can wait.
    const LINES_MAX: u64 = (QUEUE_BYTES_MAX / LINE_BYTES_MIN) as u64;

    const LONG: Duration = Duration::from_secs(60);

    fn pipe() -> (io::PipeReader, Output) {
        let (reader, writer) = io::pipe().unwrap();
        (reader, Output { file: File::from(std::os::fd::OwnedFd::from(writer)), path: None })
    }

    fn counted() -> (Arc<AtomicU64>, impl Fn(u64) + Send + Sync) {
        let count = Arc::new(AtomicU64::new(0));
        let adder = count.clone();
        (count, move |n| {
            adder.fetch_add(n, Ordering::SeqCst);
        })
    }

    #[test]
    fn a_stuck_pipe_blocks_no_sender_and_every_line_is_written_or_counted() {
        let (reader, output) = pipe();
        let (dropped, count) = counted();
        let queue = Queue::start("test", output, count, |_| {}).unwrap();
        let line = vec![b'x'; 1023];
        let sent = 3 * LINES_MAX;
        for _ in 0..sent {
            let mut line = line.clone();
            line.push(b'\n');
            queue.push(line);
        }
        let lost = dropped.load(Ordering::SeqCst);
        assert!(lost > 0, "without a reader the queue must overflow");
        assert!(queue.shared.bytes.load(Ordering::SeqCst) <= QUEUE_BYTES_MAX);
        assert!(!queue.flush(Duration::ZERO), "the pipe is still stuck");
        queue.stop();
        let read = BufReader::new(reader).lines().filter(|line| line.is_ok()).count() as u64;
        assert_eq!(read + lost, sent);
        assert_eq!(queue.shared.bytes.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn short_lines_are_bounded_by_number() {
        let (_reader, output) = pipe();
        let (dropped, count) = counted();
        let queue = Queue::start("test", output, count, |_| {}).unwrap();
        // Lines written by the thread are in the buffer of the pipe, less than a batch.
        let sent = 20 * LINES_MAX;
        for _ in 0..sent {
            queue.push(b"0123456789abcde\n".to_vec());
        }
        let taken = sent - dropped.load(Ordering::SeqCst);
        assert!((LINES_MAX..2 * LINES_MAX).contains(&taken), "{taken} lines of {sent}");
        assert!(queue.shared.bytes.load(Ordering::SeqCst) <= QUEUE_BYTES_MAX);
    }

    #[test]
    fn a_closed_pipe_is_reported_once() {
        let (reader, output) = pipe();
        drop(reader);
        let (dropped, count) = counted();
        let (errors, error) = counted();
        let queue = Queue::start("test", output, count, move |_| error(1)).unwrap();
        for _ in 0..3 {
            queue.push(b"a\n".to_vec());
            assert!(queue.flush(LONG));
        }
        assert_eq!((dropped.load(Ordering::SeqCst), errors.load(Ordering::SeqCst)), (3, 1));
    }

    #[test]
    fn lines_after_the_stop_are_counted() {
        let (mut reader, output) = pipe();
        let (dropped, count) = counted();
        let queue = Queue::start("test", output, count, |_| {}).unwrap();
        queue.push(b"last\n".to_vec());
        queue.stop();
        // The thread closes its end of the pipe when it ends.
        let mut all = String::new();
        reader.read_to_string(&mut all).unwrap();
        assert_eq!(all, "last\n");
        queue.push(b"late\n".to_vec());
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    }
}
