//! Limits on requests that are open at once, and the queue of those that wait.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::config::plan::RequestLimit;

/// A limit on requests that are open at once, over all workers.
pub struct ConcurrencyLimit {
    limit: Arc<RequestLimit>,
    shared: Arc<Mutex<Queue>>,
}

/// The open requests of a limit, and those that wait.
#[derive(Default)]
struct Queue {
    open: usize,
    /// In the order of their numbers, and so first come, first served.
    waiting: VecDeque<Waiter>,
    /// Numbers of waiters that were let in and have not been told yet. They count as open.
    admitted: Vec<u64>,
    next: u64,
}

struct Waiter {
    number: u64,
    /// The limit by which it waits. After a reload, two limits may share a queue for a while.
    most: usize,
    waker: Waker,
}

/// One open request. Dropping it makes room for another.
pub struct ConcurrencyPermit(Arc<Mutex<Queue>>);

impl ConcurrencyLimit {
    /// A limit. `before` is that of the same rule until now: its open requests count here too.
    pub fn new(limit: &Arc<RequestLimit>, before: Option<&ConcurrencyLimit>) -> Self {
        let shared = before.map(|before| before.shared.clone()).unwrap_or_default();
        Self { limit: limit.clone(), shared }
    }

    /// A permit, unless all are taken or other requests wait for one.
    pub fn try_take(&self) -> Option<ConcurrencyPermit> {
        let mut queue = lock(&self.shared);
        let is_free = queue.open < self.limit.requests && queue.waiting.is_empty();
        is_free.then(|| {
            queue.open += 1;
            ConcurrencyPermit(self.shared.clone())
        })
    }

    /// Whether another request may wait.
    pub fn may_wait(&self) -> bool {
        lock(&self.shared).waiting.len() < self.limit.waiting
    }

    /// How long a request waits.
    pub fn timeout(&self) -> Duration {
        self.limit.timeout
    }

    /// Waits for a permit, behind those that wait already. The result is `None` if too many do.
    pub fn wait(&self) -> Waiting<'_> {
        Waiting { limit: self, number: None }
    }
}

/// A request that waits for a permit.
pub struct Waiting<'a> {
    limit: &'a ConcurrencyLimit,
    /// Its number, once it waits.
    number: Option<u64>,
}

impl Future for Waiting<'_> {
    type Output = Option<ConcurrencyPermit>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { limit: ConcurrencyLimit { limit, shared }, number } = &mut *self;
        let mut queue = lock(shared);
        let Some(own) = *number else {
            if queue.open < limit.requests && queue.waiting.is_empty() {
                queue.open += 1;
                return Poll::Ready(Some(ConcurrencyPermit(shared.clone())));
            }
            if queue.waiting.len() >= limit.waiting {
                return Poll::Ready(None);
            }
            *number = Some(queue.enter(limit.requests, cx.waker()));
            return Poll::Pending;
        };
        if queue.is_told(own) {
            *number = None;
            return Poll::Ready(Some(ConcurrencyPermit(shared.clone())));
        }
        if let Some(waiter) = queue.find(own) {
            queue.waiting[waiter].waker.clone_from(cx.waker());
        }
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(own) = self.number else { return };
        let mut queue = lock(&self.limit.shared);
        if let Some(waiter) = queue.find(own) {
            queue.waiting.remove(waiter);
            // With another limit, the next one may have room.
            let wakers = queue.admit();
            drop(queue);
            wakers.into_iter().for_each(Waker::wake);
        } else if queue.is_told(own) {
            // It was let in, and leaves before it was told.
            drop(queue);
            drop(ConcurrencyPermit(self.limit.shared.clone()));
        }
    }
}

impl Drop for ConcurrencyPermit {
    fn drop(&mut self) {
        let mut queue = lock(&self.0);
        queue.open -= 1;
        if queue.waiting.is_empty() {
            return;
        }
        let wakers = queue.admit();
        drop(queue);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Queue {
    fn enter(&mut self, most: usize, waker: &Waker) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiting.push_back(Waiter { number, most, waker: waker.clone() });
        number
    }

    /// Lets in as many as there is room for, and returns their wakers.
    fn admit(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(first) = self.waiting.pop_front_if(|first| self.open < first.most) {
            self.open += 1;
            self.admitted.push(first.number);
            wakers.push(first.waker);
        }
        wakers
    }

    fn find(&self, number: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&number, |waiter| waiter.number).ok()
    }

    /// Whether a waiter was let in. It is told once.
    fn is_told(&mut self, number: u64) -> bool {
        let at = self.admitted.iter().position(|admitted| *admitted == number);
        at.map(|at| self.admitted.swap_remove(at)).is_some()
    }
}

/// Locks a mutex, even after a panic. The data is valid after every statement.
fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::SeqCst;

    fn limit(requests: usize, waiting: usize) -> ConcurrencyLimit {
        let limit = RequestLimit { requests, waiting, ..RequestLimit::default() };
        ConcurrencyLimit::new(&Arc::new(limit), None)
    }

    fn poll(waiting: &mut Waiting<'_>) -> Option<Option<ConcurrencyPermit>> {
        block_on(poll_once(waiting))
    }

    #[test]
    fn the_first_that_waits_is_served_first_and_only_so_many_wait() {
        let limit = limit(1, 2);
        let open = limit.try_take().unwrap();
        let [mut first, mut second, mut third] = [limit.wait(), limit.wait(), limit.wait()];
        assert!(poll(&mut first).is_none() && poll(&mut second).is_none());
        assert!(!limit.may_wait() && matches!(poll(&mut third), Some(None)));
        drop(open);
        assert!(limit.try_take().is_none(), "a newcomer waits behind the others");
        assert!(poll(&mut second).is_none());
        let open = poll(&mut first).flatten().unwrap();
        assert!(poll(&mut second).is_none());
        drop(open);
        drop(poll(&mut second).flatten().unwrap());
        assert!(limit.try_take().is_some());
    }

    #[test]
    fn a_request_that_leaves_the_queue_takes_nothing_with_it() {
        let limit = limit(1, 8);
        let open = limit.try_take().unwrap();
        let [mut waits, mut admitted, mut last] = [limit.wait(), limit.wait(), limit.wait()];
        assert!([&mut waits, &mut admitted, &mut last].into_iter().all(|one| poll(one).is_none()));
        drop(waits);
        drop(open);
        // It has its permit, and was not polled since.
        drop(admitted);
        assert!(poll(&mut last).flatten().is_some());
        assert_eq!(lock(&limit.shared).open, 0);
    }

    #[test]
    fn a_reload_keeps_the_open_requests_and_lets_in_by_the_new_limit() {
        let old = limit(1, 8);
        let open = old.try_take().unwrap();
        let more = RequestLimit { requests: 2, waiting: 8, ..RequestLimit::default() };
        let new = ConcurrencyLimit::new(&Arc::new(more), Some(&old));
        let mut waits = old.wait();
        assert!(poll(&mut waits).is_none());
        assert!(new.try_take().is_none(), "an older request waits");
        drop(open);
        let _first = poll(&mut waits).flatten().unwrap();
        let _second = new.try_take().unwrap();
        assert!(new.try_take().is_none() && old.try_take().is_none());
    }

    /// No wake-up is lost, and never more are open than allowed, whatever the threads do.
    #[test]
    fn threads_that_wait_are_all_served_and_never_more_than_allowed_at_once() {
        let (limit, open, served) = (limit(2, 64), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (limit, open, served) = (&limit, &open, &served);
                scope.spawn(move || {
                    for turn in 0..500 {
                        let mut waiting = limit.wait();
                        if (turn + thread) % 7 == 0 {
                            // Gone after the first look, with or without a permit.
                            drop(poll(&mut waiting));
                            continue;
                        }
                        let permit = block_on(&mut waiting).expect("there is room to wait");
                        assert!(open.fetch_add(1, SeqCst) < 2);
                        std::thread::yield_now();
                        open.fetch_sub(1, SeqCst);
                        drop(permit);
                        served.fetch_add(1, SeqCst);
                    }
                });
            }
        });
        assert!(served.load(SeqCst) > 1_500);
        let queue = lock(&limit.shared);
        assert!(queue.open == 0 && queue.waiting.is_empty() && queue.admitted.is_empty());
    }
}
