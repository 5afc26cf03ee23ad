//! The executor: a queue of tasks that are ready, and the loop that runs them.
//!
//! Tasks come from `async-task`, the crate under smol's own executors. Ours differs in two ways that
//! a proxy notices. A wake from the worker's own thread, which is nearly every wake, is a push to a
//! plain `VecDeque`: no lock, no atomic but the task's own state, and no allocation once the queue has
//! grown. And the loop knows the reactor, so that a wake from another thread can interrupt its wait in the kernel.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use async_task::{Runnable, ScheduleInfo, Task, WithInfo};
use pin_project_lite::pin_project;
use slab::Slab;

use super::buffer::Buffers;
use super::housekeeping::Household;
use super::reactor::Reactor;
use super::source;
use super::splice::Pipes;
use super::timer::{Timer, Timers};

/// Tasks run before the kernel is asked again, so that tasks that wake each other cannot keep the others'
/// sockets from being looked at. A task that wakes itself runs once.
const TASKS_PER_TURN: usize = 256;

/// A handle to the worker that runs on this thread. Cheap to clone; cannot leave the thread.
#[derive(Clone)]
pub struct Worker {
    pub(super) inner: Rc<Inner>,
}

pub(super) struct Inner {
    pub(super) reactor: Reactor,
    pub(super) timers: Rc<Timers>,
    pub(super) buffers: Rc<Buffers>,
    pub(super) pipes: Pipes,
    pub(super) household: Household,
    /// Weak, because tasks hold the worker: the executor must be able to end before they do.
    executor: Weak<Executor>,
    /// The time at the start of this turn: one clock reading for all tasks of a turn.
    now: Cell<Instant>,
    /// The longest that somebody asked for with [`Worker::coalesce`] in this turn.
    coalescing: Cell<Duration>,
}

impl Inner {
    pub(super) fn executor(&self) -> Rc<Executor> {
        self.executor.upgrade().expect("invariant: tasks run inside the executor's life")
    }
}

impl Worker {
    /// Starts a task on this worker. Dropping the handle cancels it; `detach` lets it go on alone.
    ///
    /// # Panics
    /// When the run has ended, or is ending: not from a destructor.
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Task<T> {
        self.inner.executor().spawn(future)
    }

    /// The time at the start of this turn of the loop; at most a turn old.
    pub fn now(&self) -> Instant {
        self.inner.now.get()
    }

    /// Says that more is about to come of what was just passed on. Should the worker have nothing else to do, it
    /// sleeps for `time` before it asks the kernel: what has come by then takes one read and one write, instead
    /// of one for each piece. Whatever else comes meanwhile waits as long. Linux may make it 50 us longer
    /// (`PR_SET_TIMERSLACK`).
    pub fn coalesce(&self, time: Duration) {
        self.inner.coalescing.set(self.inner.coalescing.get().max(time));
    }

    /// A deadline that can be armed again and again without a system call.
    pub fn timer(&self) -> Timer {
        Timer::new(&self.inner.timers)
    }

    /// Waits. Not exact: timers have the resolution of [`super::timer::TICK`].
    pub async fn sleep(&self, duration: Duration) {
        let timer = self.timer();
        timer.arm(duration);
        timer.expired().await;
    }

    /// Lets the other tasks run before going on, and those whose sockets have become ready meanwhile.
    pub async fn yield_now(&self) {
        futures_lite::future::yield_now().await;
    }
}

/// What a wake from another thread touches.
pub(super) struct Shared {
    /// Tasks woken from other threads.
    remote: Mutex<Vec<Runnable>>,
    /// The loop is in the kernel, or about to be: who wakes a task must interrupt it.
    parked: AtomicBool,
    poller: Arc<polling::Poller>,
}

thread_local! {
    /// The ready queue of the worker on this thread, if there is one. Here rather than in the
    /// worker because a waker may be on any thread, and this is how it learns that it is at home.
    static LOCAL_QUEUE: RefCell<Option<LocalQueue>> = const { RefCell::new(None) };
}

struct LocalQueue {
    shared: Arc<Shared>,
    ready: VecDeque<Runnable>,
    /// Those that were woken while they ran, which mostly is by themselves: they have more to do, and do it when
    /// the kernel has been asked for news of all others.
    next_turn: VecDeque<Runnable>,
}

impl Shared {
    /// Puts a task into a ready queue: called by its waker, on whatever thread that is, or at the end of a run in
    /// which it was woken.
    fn schedule(self: &Arc<Self>, runnable: Runnable, info: ScheduleInfo) {
        let mut runnable = Some(runnable);
        // The thread-local is gone while its thread ends; then the task is remote to every thread.
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
                // It can fail only when the poller is closed, and then nobody waits.
                let _ = self.poller.notify();
            }
        }
    }

    fn remote(&self) -> MutexGuard<'_, Vec<Runnable>> {
        self.remote.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Executor {
    shared: Arc<Shared>,
    /// A waker of every task that has not ended, so that the end of the executor can reach them.
    active: Rc<RefCell<Slab<Option<Waker>>>>,
}

impl Executor {
    /// Makes this thread the home of its tasks, until it is dropped.
    fn new(shared: Arc<Shared>) -> Self {
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

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Task<T> {
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

    /// Gives up room for more tasks than there are.
    pub(super) fn shrink(&self) {
        self.active.borrow_mut().shrink_to_fit();
        LOCAL_QUEUE
            .with_borrow_mut(|home| home.iter_mut().for_each(|home| home.ready.shrink_to(TASKS_PER_TURN)));
    }

    /// Runs one ready task; `false` when there is none.
    fn run_one(&self) -> bool {
        Self::next_ready().map(Runnable::run).is_some()
    }

    fn next_ready() -> Option<Runnable> {
        LOCAL_QUEUE.with_borrow_mut(|home| home.as_mut().and_then(|home| home.ready.pop_front()))
    }

    /// Takes over what other threads woke; whether anything is to be run, now or in the next turn.
    fn collect(&self) -> bool {
        let mut remote = self.shared.remote();
        LOCAL_QUEUE.with_borrow_mut(|home| {
            home.as_mut().is_some_and(|home| {
                home.ready.extend(remote.drain(..));
                !(home.ready.is_empty() && home.next_turn.is_empty())
            })
        })
    }

    /// Queues what was to wait for the next turn, behind what the kernel and the timers have woken.
    fn begin_turn() {
        LOCAL_QUEUE.with_borrow_mut(|home| {
            if let Some(home) = home {
                home.ready.append(&mut home.next_turn);
            }
        });
    }

    /// Whether a task waits for the next turn.
    fn has_more() -> bool {
        LOCAL_QUEUE.with_borrow(|home| home.as_ref().is_some_and(|home| !home.next_turn.is_empty()))
    }
}

impl Drop for Executor {
    /// Ends every task: woken, each comes to stand in the queue, and a runnable that is dropped drops
    /// its future. Dropping one may wake others, and another thread may have claimed a task that it has
    /// not queued yet; hence until none is left. Also the way out of a panic.
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
    /// A task's future, on the list of active ones until it is dropped. No `async` block: that would
    /// hold the future twice.
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

/// Takes a task off the list of active ones when its future is dropped.
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

/// Makes this thread a worker until `main` has ended; every other task is dropped then.
///
/// # Errors
/// When the reactor cannot be made (no file descriptor left), or waiting in the kernel fails.
///
/// # Panics
/// When this thread is a worker already.
pub fn run<F: Future + 'static>(main: impl FnOnce(Worker) -> F) -> io::Result<F::Output>
where
    F::Output: 'static,
{
    let reactor = Reactor::new()?;
    let shared = Arc::new(Shared {
        remote: Mutex::new(Vec::new()),
        parked: AtomicBool::new(false),
        poller: reactor.poller().clone(),
    });
    let executor = Rc::new(Executor::new(shared));
    let now = Instant::now();
    let worker = Worker {
        inner: Rc::new(Inner {
            reactor,
            timers: Rc::new(Timers::new(now)),
            buffers: Rc::default(),
            pipes: Pipes::default(),
            household: Household::default(),
            executor: Rc::downgrade(&executor),
            now: Cell::new(now),
            coalescing: Cell::default(),
        }),
    };
    turn_until_done(&worker, &executor, main(worker.clone()))
}

/// The loop of the picture in `mod.rs`.
fn turn_until_done<F: Future + 'static>(
    worker: &Worker,
    executor: &Executor,
    main: F,
) -> io::Result<F::Output>
where
    F::Output: 'static,
{
    let main = executor.spawn(main);
    executor.spawn(worker.clone().keep_house()).detach();
    let Inner { reactor, timers, now, coalescing, .. } = &*worker.inner;
    loop {
        let idle = !(0..TASKS_PER_TURN).all(|_| executor.run_one());
        if main.is_finished() {
            return Ok(futures_lite::future::block_on(main));
        }
        let coalescing = coalescing.take();
        if idle && !coalescing.is_zero() && !Executor::has_more() {
            std::thread::sleep(coalescing);
        }
        // Announce the wait before the last look at the remote queue: who pushes after that look
        // sees `parked` and interrupts the wait.
        executor.shared.parked.store(true, Ordering::SeqCst);
        let busy = executor.collect();
        let timeout = if busy { Some(Duration::ZERO) } else { timers.next(Instant::now()) };
        reactor.wait(timeout)?;
        executor.shared.parked.store(false, Ordering::Relaxed);
        now.set(Instant::now());
        timers.fire(now.get());
        source::begin_turn();
        Executor::begin_turn();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::sync::mpsc;
    use std::task::Poll;

    /// Another thread may be about to queue a task at the very end of a run: it has claimed the task,
    /// and waits for the lock of the queue. A third thread that keeps the lock busy makes that likely.
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
