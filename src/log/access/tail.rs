//! Readers of exchanges as they end, for `smolgate tail`.
//!
//! A worker asks the switch of its generation, as it asks for the access log. Only with a reader does it format a line,
//! and put it into the queue of the reader. It never waits: a queue that is full loses the line and counts it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use smol::channel::{Receiver, Sender, unbounded};

use super::record::AccessRecord;
use super::tail_filter::{TailFilter, TailFormat};
use super::{human, json};
use crate::log::hidden;

/// Readers at once.
pub const READERS_MAX: usize = 4;

/// The most bytes that may wait for a reader.
const QUEUE_BYTES_MAX: usize = 1024 * 1024;

/// The least number of bytes that a line counts as. It bounds short lines to 2,048.
const LINE_BYTES_MIN: usize = 512;

/// Bytes that a reader takes at once, up to one line more.
const BATCH_BYTES: usize = 64 * 1024;

/// A generation, which asks whether lines are wanted without a look at the readers.
pub trait TailObserver: Send + Sync {
    /// Says whether there are readers.
    fn readers_changed(&self, are_there: bool);
}

/// The readers of one gate.
#[derive(Default)]
pub struct Tail {
    /// Whether there are any, so that a worker with an access log needs one load.
    are_there: AtomicBool,
    readers: ArcSwap<Vec<Arc<ReaderQueue>>>,
    /// Locked while readers change.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    observers: Vec<Weak<dyn TailObserver>>,
    is_closed: bool,
}

struct ReaderQueue {
    filter: TailFilter,
    lines: Sender<Vec<u8>>,
    /// Bytes that wait, as [`weight`] counts them.
    bytes: AtomicUsize,
    lost: AtomicU64,
}

impl Tail {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells an observer whether there are readers, now and after each change.
    pub fn observe(&self, observer: Weak<dyn TailObserver>) {
        let mut state = self.state();
        state.observers.retain(|known| known.strong_count() > 0);
        if let Some(observer) = observer.upgrade() {
            observer.readers_changed(self.are_there.load(Relaxed));
        }
        state.observers.push(observer);
    }

    /// A new reader. `None` if there are [`READERS_MAX`], or if the gate has stopped.
    pub fn read(self: &Arc<Self>, filter: TailFilter) -> Option<TailReader> {
        let state = self.state();
        let mut readers = self.readers.load().to_vec();
        if readers.len() >= READERS_MAX || state.is_closed {
            return None;
        }
        let (sender, lines) = unbounded();
        let queue =
            ReaderQueue { filter, lines: sender, bytes: AtomicUsize::new(0), lost: AtomicU64::new(0) };
        let queue = Arc::new(queue);
        readers.push(queue.clone());
        self.change(&state, readers);
        drop(state);
        Some(TailReader { tail: self.clone(), queue, lines })
    }

    /// Ends all readers, once they have what waits for them.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        for reader in self.readers.load().iter() {
            reader.lines.close();
        }
    }

    fn leave(&self, queue: &Arc<ReaderQueue>) {
        let state = self.state();
        let readers =
            self.readers.load().iter().filter(|other| !Arc::ptr_eq(other, queue)).cloned().collect();
        self.change(&state, readers);
    }

    fn change(&self, state: &State, readers: Vec<Arc<ReaderQueue>>) {
        let are_there = !readers.is_empty();
        self.readers.store(Arc::new(readers));
        self.are_there.store(are_there, Relaxed);
        let observers = state.observers.iter().filter_map(Weak::upgrade);
        observers.for_each(|observer| observer.readers_changed(are_there));
    }

    /// Whether there are readers.
    pub(super) fn has_readers(&self) -> bool {
        self.are_there.load(Relaxed)
    }

    /// Gives a line to each reader that asks for such a one. Never waits.
    pub(super) fn write(&self, record: &AccessRecord<'_>) {
        for reader in self.readers.load().iter().filter(|reader| reader.filter.takes(record)) {
            let mut line = Vec::with_capacity(LINE_BYTES_MIN);
            let written = match reader.filter.format {
                TailFormat::Json => json::write_line(record, &mut line),
                TailFormat::Human { colours } => human::write_line(record, colours, &mut line),
            };
            reader.push(written, line);
        }
    }
}

impl ReaderQueue {
    fn push(&self, written: io::Result<()>, line: Vec<u8>) {
        written.expect("invariant: a Vec takes every write");
        let line = hidden::escape(line);
        let size = weight(&line);
        let waiting = self.bytes.fetch_add(size, Relaxed);
        if waiting + size > QUEUE_BYTES_MAX || self.lines.try_send(line).is_err() {
            self.bytes.fetch_sub(size, Relaxed);
            self.lost.fetch_add(1, Relaxed);
        }
    }

    fn lost_line(&self, lost: u64) -> String {
        match self.filter.format {
            TailFormat::Json => format!("{{\"lost\":{lost}}}\n"),
            TailFormat::Human { .. } => format!("-- {lost} lines lost: this reader is too slow --\n"),
        }
    }
}

fn weight(line: &[u8]) -> usize {
    line.len().max(LINE_BYTES_MIN)
}

/// A reader. It leaves when it is dropped.
pub struct TailReader {
    tail: Arc<Tail>,
    queue: Arc<ReaderQueue>,
    lines: Receiver<Vec<u8>>,
}

impl TailReader {
    /// Waits for lines and appends them. The number of lost lines follows those that were not lost. Returns `false`
    /// when the gate has stopped and no line is left.
    pub async fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let Ok(first) = self.lines.recv().await else { return false };
        self.take(&first, out);
        while out.len() < BATCH_BYTES
            && let Ok(line) = self.lines.try_recv()
        {
            self.take(&line, out);
        }
        let lost = self.queue.lost.swap(0, Relaxed);
        if lost > 0 {
            out.extend_from_slice(self.queue.lost_line(lost).as_bytes());
        }
        true
    }

    fn take(&self, line: &[u8], out: &mut Vec<u8>) {
        self.queue.bytes.fetch_sub(weight(line), Relaxed);
        out.extend_from_slice(line);
    }
}

impl Drop for TailReader {
    fn drop(&mut self) {
        self.tail.leave(&self.queue);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    #[derive(Default)]
    struct Seen(AtomicBool);

    impl TailObserver for Seen {
        fn readers_changed(&self, are_there: bool) {
            self.0.store(are_there, Relaxed);
        }
    }

    fn next(reader: &mut TailReader) -> Option<String> {
        let mut out = Vec::new();
        smol::block_on(reader.next(&mut out)).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn generations_learn_of_readers_that_come_and_go() {
        let (tail, seen) = (Arc::<Tail>::default(), Arc::<Seen>::default());
        let observer: Arc<dyn TailObserver> = seen.clone();
        tail.observe(Arc::downgrade(&observer));
        assert!(!seen.0.load(Relaxed) && !tail.has_readers());
        let readers: Vec<_> = (0..READERS_MAX).map(|_| tail.read(TailFilter::default()).unwrap()).collect();
        assert!(tail.read(TailFilter::default()).is_none() && seen.0.load(Relaxed));
        let late = Arc::<Seen>::default();
        let observer: Arc<dyn TailObserver> = late.clone();
        tail.observe(Arc::downgrade(&observer));
        assert!(late.0.load(Relaxed), "a generation that comes later learns it too");
        drop(readers);
        assert!(!seen.0.load(Relaxed) && !late.0.load(Relaxed) && !tail.has_readers());
    }

    #[test]
    fn a_slow_reader_loses_lines_and_is_told_how_many() {
        let tail = Arc::<Tail>::default();
        let mut reader = tail.read(TailFilter::default()).unwrap();
        let fits = QUEUE_BYTES_MAX / LINE_BYTES_MIN;
        for _ in 0..fits + 7 {
            tail.write(&record());
        }
        let (mut lines, mut lost) = (0, None);
        while lost.is_none() {
            let text = next(&mut reader).unwrap();
            lines += text.lines().filter(|line| line.starts_with("{\"time\"")).count();
            lost = text.lines().find(|line| line.starts_with("{\"lost\"")).map(str::to_owned);
        }
        assert_eq!(lost.as_deref(), Some("{\"lost\":7}"));
        tail.write(&record());
        tail.close();
        while let Some(text) = next(&mut reader) {
            lines += text.lines().count();
        }
        assert_eq!(lines, fits + 1, "all others came, and then the end");
        assert!(tail.read(TailFilter::default()).is_none());
    }
}
