//! The limit on connected clients of the process. Above it, the oldest idle connection makes room.

use std::future::poll_fn;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_lite::future;
use smol::channel::{Receiver, Sender, unbounded};

use crate::worker::Worker;

/// The time after which a listener without a permit asks for room again. The connection that was asked may
/// have received a request at that moment, and others have become idle since.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// The interval of warnings about the limit.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// The value for a worker without idle connections.
const NONE: u64 = u64::MAX;

/// Rights to hold client connections, counted over the whole process.
#[derive(Clone)]
pub struct Permits(Arc<Shared>);

struct Shared {
    /// Open streams of HTTP/2, and their limit.
    streams: AtomicUsize,
    streams_most: AtomicUsize,
    taken: AtomicUsize,
    most: AtomicUsize,
    /// Listeners that wait for a permit.
    waiting: Mutex<Vec<Waker>>,
    anyone_waits: AtomicBool,
    /// The idle times that each worker reports.
    workers: Mutex<Vec<Arc<Told>>>,
    started: Instant,
    /// The time of the last warning, in milliseconds from `started`; `NONE` before the first.
    warned: AtomicU64,
}

/// A worker's report of its idle connections, and the channel on which others ask it for room.
pub(crate) struct Told {
    /// Start of the longest idle time, in nanoseconds from `started`; `NONE` if no connection is idle.
    oldest: AtomicU64,
    started: Instant,
    asks: Sender<()>,
}

/// One right to hold a stream of HTTP/2. It is given back when dropped.
pub struct StreamPermit(Arc<Shared>);

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Relaxed);
    }
}

/// One right. It is given back when dropped.
pub(crate) struct Permit(Arc<Shared>);

impl Permits {
    /// Allows `most` connections at once.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Shared {
            streams: AtomicUsize::new(0),
            streams_most: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            most: AtomicUsize::new(most),
            waiting: Mutex::default(),
            anyone_waits: AtomicBool::new(false),
            workers: Mutex::default(),
            started: Instant::now(),
            warned: AtomicU64::new(NONE),
        }))
    }

    /// Changes the limit on streams, for a reload. Existing streams stay, even above it.
    pub fn set_stream_limit(&self, most: usize) {
        self.0.streams_most.store(most, Relaxed);
    }

    /// Takes a right to hold a stream, unless all are taken.
    pub fn try_take_stream(&self) -> Option<StreamPermit> {
        let most = self.0.streams_most.load(Relaxed);
        let one_more = |taken| (taken < most).then_some(taken + 1);
        let taken = self.0.streams.fetch_update(Relaxed, Relaxed, one_more);
        taken.ok().map(|_| StreamPermit(self.0.clone()))
    }

    /// Changes the limit, for a reload. Existing connections stay, even above it.
    pub fn set_limit(&self, most: usize) {
        self.0.most.store(most, Relaxed);
    }

    /// Takes a permit, unless all are taken.
    pub(crate) fn try_take(&self) -> Option<Permit> {
        let most = self.0.most.load(Relaxed);
        let one_more = |taken| (taken < most).then_some(taken + 1);
        self.0.taken.fetch_update(SeqCst, SeqCst, one_more).ok().map(|_| Permit(self.0.clone()))
    }

    /// Takes a permit as soon as there is one. Until then, it asks the worker with the oldest idle connection
    /// to make room.
    pub(crate) async fn take(&self, worker: &Worker, listener: &str) -> Permit {
        loop {
            if let Some(permit) = self.try_take() {
                return permit;
            }
            self.warn(listener);
            self.ask_for_room();
            let again = async {
                worker.sleep(ASK_AGAIN).await;
                None
            };
            let given_back = poll_fn(|cx| self.poll_take(cx).map(Some));
            if let Some(permit) = future::or(given_back, again).await {
                return permit;
            }
        }
    }

    /// Takes a permit, even above the limit.
    pub(crate) fn take_anyway(&self) -> Permit {
        self.0.taken.fetch_add(1, SeqCst);
        Permit(self.0.clone())
    }

    /// Registers a worker. Requests for room arrive in the channel.
    pub(crate) fn join(&self) -> (Arc<Told>, Receiver<()>) {
        let (asks, asked) = unbounded();
        let told = Told { oldest: AtomicU64::new(NONE), started: self.0.started, asks };
        let told = Arc::new(told);
        lock(&self.0.workers).push(told.clone());
        (told, asked)
    }

    /// Whether a listener still waits for a permit. A request for room may be outdated.
    pub(crate) fn are_wanted(&self) -> bool {
        self.0.anyone_waits.load(SeqCst) && self.0.taken.load(SeqCst) >= self.0.most.load(Relaxed)
    }

    fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Permit> {
        let mut waiting = lock(&self.0.waiting);
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        // Set before `try_take`, so that a permit given back after it wakes this task.
        self.0.anyone_waits.store(true, SeqCst);
        drop(waiting);
        self.try_take().map_or(Poll::Pending, Poll::Ready)
    }

    fn ask_for_room(&self) {
        let workers = lock(&self.0.workers);
        let oldest = workers.iter().min_by_key(|told| told.oldest.load(Relaxed));
        if let Some(told) = oldest.filter(|told| told.oldest.load(Relaxed) != NONE) {
            // Fails only if the worker has ended, and then it has no connections.
            let _ = told.asks.try_send(());
        }
    }

    fn warn(&self, listener: &str) {
        let now = self.0.started.elapsed().as_millis() as u64;
        let last = self.0.warned.load(Relaxed);
        if last == NONE || now - last.min(now) >= WARN_EVERY.as_millis() as u64 {
            self.0.warned.store(now, Relaxed);
            tracing::warn!(listener, "max_connections reached; new connections wait, or idle ones make room");
        }
    }
}

impl Told {
    /// Reports since when the worker's oldest idle connection is idle.
    pub(crate) fn tell(&self, oldest: Option<Instant>) {
        let nanos = |since: Instant| since.saturating_duration_since(self.started).as_nanos();
        let nanos = oldest.and_then(|since| u64::try_from(nanos(since)).ok());
        self.oldest.store(nanos.unwrap_or(NONE), Relaxed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Self(shared) = self;
        shared.taken.fetch_sub(1, SeqCst);
        if shared.anyone_waits.load(SeqCst) {
            let waiting = {
                let mut waiting = lock(&shared.waiting);
                shared.anyone_waits.store(false, SeqCst);
                std::mem::take(&mut *waiting)
            };
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

/// Locks a mutex, even after a panic. The data is valid after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};
    use std::pin::pin;

    #[test]
    fn a_permit_that_is_given_back_goes_to_a_waiting_task() {
        let permits = Permits::new(1);
        let first = permits.try_take().unwrap();
        assert!(permits.try_take().is_none());
        let mut second = pin!(poll_fn(|cx| permits.poll_take(cx)));
        assert!(block_on(poll_once(second.as_mut())).is_none());
        let giving_back = std::thread::spawn(move || drop(first));
        let second = block_on(second);
        giving_back.join().unwrap();
        assert!(permits.try_take().is_none());
        permits.set_limit(2);
        let third = permits.try_take().unwrap();
        drop((second, third));
        assert_eq!(permits.0.taken.load(SeqCst), 0);
    }

    #[test]
    fn the_worker_with_the_oldest_idle_connection_is_asked_for_room() {
        let permits = Permits::new(0);
        let ((one, one_asked), (other, other_asked)) = (permits.join(), permits.join());
        permits.ask_for_room();
        assert!(one_asked.is_empty() && other_asked.is_empty(), "no worker has an idle connection");
        let now = Instant::now();
        one.tell(Some(now + Duration::from_secs(2)));
        other.tell(Some(now + Duration::from_secs(1)));
        permits.ask_for_room();
        assert_eq!((one_asked.len(), other_asked.len()), (0, 1));
        other.tell(None);
        permits.ask_for_room();
        assert_eq!((one_asked.len(), other_asked.len()), (1, 1));
    }
}
