//! The executor: the tasks of a worker, and the queue of those that are ready.
//!
//! Tasks come from `async-task`, the crate under smol's own executors. This executor differs from those in
//! two ways that matter to a proxy. First, nearly every wake comes from the worker's own thread. Such a wake
//! is a push to a plain `VecDeque`: no lock, and no atomic but the task's own state. It allocates nothing
//! once the queue has grown. Second, it knows the poller, so a wake from another thread can interrupt
//! the wait in the kernel.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use async_task::{Runnable, ScheduleInfo, Task, WithInfo};
use pin_project_lite::pin_project;
use slab::Slab;

/// The number of tasks that run before the worker asks the kernel again. The limit keeps tasks that wake each
/// other from delaying the sockets of all other tasks. A task that wakes itself runs once per turn.
pub(super) const TASKS_PER_TURN: usize = 256;

/// The state that a wake from another thread touches.
pub(super) struct Shared {
    /// Tasks woken from other threads.
    remote: Mutex<Vec<Runnable>>,
    /// Whether the loop is in the kernel or about to enter it. If so, a remote wake must interrupt it.
    pub(super) parked: AtomicBool,
    poller: Arc<polling::Poller>,
}

thread_local! {
    /// The ready queue of the worker on this thread, if there is one. It is a thread-local because a waker
    /// may run on any thread: a waker that finds its own worker's queue here runs on that worker's thread.
    static LOCAL_QUEUE: RefCell<Option<LocalQueue>> = const { RefCell::new(None) };
}

struct LocalQueue {
    shared: Arc<Shared>,
    ready: VecDeque<Runnable>,
    /// Tasks that were woken while they ran, mostly by themselves. They have more to do, and run again
    /// after the worker has asked the kernel for the events of all other tasks.
    next_turn: VecDeque<Runnable>,
}

impl Shared {
    /// Puts a task into a ready queue. The task's waker calls it on any thread, or `async-task` calls it at
    /// the end of a run in which the task was woken.
    fn schedule(self: &Arc<Self>, runnable: Runnable, info: ScheduleInfo) {
        let mut runnable = Some(runnable);
        // The thread-local is gone while its thread ends. Then every thread queues the task as remote.
        let _ = LOCAL_QUEUE.try_with(|home| {
            if let Some(home) = home.borrow_mut().as_mut()
                && Arc::ptr_eq(&home.shared, self)
            {
                let queue = if info.woken_while_running { &mut home.next_turn } else { &mut home.ready };
                queue.extend(runnable.take());
            }
        });
        if let Some(runnable) = runnable {
            self.remote().push(runnable);
            if self.parked.swap(false, Ordering::SeqCst) {
                // It fails only if the poller is closed, and then no thread waits in it.
                let _ = self.poller.notify();
            }
        }
    }

    fn remote(&self) -> MutexGuard<'_, Vec<Runnable>> {
        self.remote.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Executor {
    pub(super) shared: Arc<Shared>,
    /// A waker of every task that has not ended, so that the executor can reach the tasks when it ends.
    active: Rc<RefCell<Slab<Option<Waker>>>>,
}

impl Executor {
    /// Makes this thread the worker's own until the executor is dropped.
    pub(super) fn new(poller: Arc<polling::Poller>) -> Self {
        let shared = Shared { remote: Mutex::new(Vec::new()), parked: AtomicBool::new(false), poller };
        let shared = Arc::new(shared);
        LOCAL_QUEUE.with_borrow_mut(|home| {
            assert!(home.is_none(), "invariant: one worker a thread");
            *home = Some(LocalQueue {
                shared: shared.clone(),
                ready: VecDeque::with_capacity(TASKS_PER_TURN),
                next_turn: VecDeque::with_capacity(TASKS_PER_TURN),
            });
        });
        Self { shared, active: Rc::default() }
    }

    pub(super) fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Task<T> {
        let key = self.active.borrow_mut().insert(None);
        let leave = Deregister { active: self.active.clone(), key };
        let future = Active { future, _leave: leave };
        let shared = self.shared.clone();
        let schedule = WithInfo(move |runnable, info| shared.schedule(runnable, info));
        let (runnable, task) = async_task::spawn_local(future, schedule);
        self.active.borrow_mut()[key] = Some(runnable.waker());
        runnable.schedule();
        task
    }

    /// Frees room for more tasks than there are.
    pub(super) fn shrink(&self) {
        self.active.borrow_mut().shrink_to_fit();
        LOCAL_QUEUE
            .with_borrow_mut(|home| home.iter_mut().for_each(|home| home.ready.shrink_to(TASKS_PER_TURN)));
    }

    /// Runs one ready task. Returns `false` if there is none.
    pub(super) fn run_one(&self) -> bool {
        Self::next_ready().map(Runnable::run).is_some()
    }

    fn next_ready() -> Option<Runnable> {
        LOCAL_QUEUE.with_borrow_mut(|home| home.as_mut().and_then(|home| home.ready.pop_front()))
    }

    /// Takes over the tasks that other threads woke. Returns whether any task is to run, now or in the next
    /// turn.
    pub(super) fn collect(&self) -> bool {
        let mut remote = self.shared.remote();
        LOCAL_QUEUE.with_borrow_mut(|home| {
            home.as_mut().is_some_and(|home| {
                home.ready.extend(remote.drain(..));
                !(home.ready.is_empty() && home.next_turn.is_empty())
            })
        })
    }

    /// Queues the tasks of `next_turn` behind the tasks that the kernel and the timers have woken.
    pub(super) fn begin_turn() {
        LOCAL_QUEUE.with_borrow_mut(|home| {
            if let Some(home) = home {
                home.ready.append(&mut home.next_turn);
            }
        });
    }

    /// Whether a task waits for the next turn.
    pub(super) fn has_more() -> bool {
        LOCAL_QUEUE.with_borrow(|home| home.as_ref().is_some_and(|home| !home.next_turn.is_empty()))
    }
}

impl Drop for Executor {
    /// Ends every task. A wake puts each task into the queue, and dropping its runnable drops its future.
    /// Such a drop may wake other tasks, and another thread may have claimed a task that it has not queued
    /// yet. So the loop repeats until no task is left. A panic takes this way too.
    fn drop(&mut self) {
        let wakers: Vec<Waker> =
            self.active.borrow_mut().iter_mut().filter_map(|(_, waker)| waker.take()).collect();
        wakers.into_iter().for_each(Waker::wake);
        while !self.active.borrow().is_empty() {
            self.collect();
            Self::begin_turn();
            match Self::next_ready() {
                Some(runnable) => drop(runnable),
                None => std::thread::yield_now(),
            }
        }
        LOCAL_QUEUE.with_borrow_mut(Option::take);
    }
}

pin_project! {
    /// A task's future, which stays on the list of active tasks until it is dropped. It is no `async` block,
    /// because that would hold the future twice.
    struct Active<F> {
        #[pin]
        future: F,
        _leave: Deregister,
    }
}

impl<F: Future> Future for Active<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

/// Removes a task from the list of active tasks when its future is dropped.
struct Deregister {
    active: Rc<RefCell<Slab<Option<Waker>>>>,
    key: usize,
}

impl Drop for Deregister {
    fn drop(&mut self) {
        let waker = self.active.borrow_mut().remove(self.key);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::run;
    use std::future::poll_fn;
    use std::sync::mpsc;
    use std::task::Poll;

    /// Another thread may be about to queue a task at the very end of a run: it has claimed the task and
    /// waits for the lock of the queue. A third thread keeps the lock busy to make that likely.
    #[test]
    fn a_wake_from_another_thread_at_the_end_of_a_run_leaves_no_task_behind() {
        let (to_wake, wakers) = mpsc::channel::<Waker>();
        let waking = std::thread::spawn(move || wakers.iter().for_each(Waker::wake));
        for _ in 0..1000 {
            let witness = Arc::new(());
            let ended = Arc::new(AtomicBool::new(false));
            let (own, done, to_wake) = (witness.clone(), ended.clone(), to_wake.clone());
            let busy = run(|worker| async move {
                let shared = worker.inner.executor().shared.clone();
                let busy = std::thread::spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        drop(shared.remote());
                    }
                });
                for _ in 0..8 {
                    let (own, to_wake) = (own.clone(), to_wake.clone());
                    let task = async move {
                        let _own = own;
                        poll_fn(|cx| {
                            to_wake.send(cx.waker().clone()).unwrap();
                            Poll::<()>::Pending
                        })
                        .await;
                    };
                    worker.spawn(task).detach();
                }
                worker.yield_now().await;
                busy
            });
            let left = Arc::strong_count(&witness) - 1;
            ended.store(true, Ordering::Relaxed);
            busy.unwrap().join().unwrap();
            assert_eq!(left, 0);
        }
        drop(to_wake);
        waking.join().unwrap();
    }
}
