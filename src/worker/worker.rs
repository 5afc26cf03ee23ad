//! The handle of a worker, with all that a worker has, and the loop that `mod.rs` draws.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_task::Task;

use super::buffer::{Buffer, BufferSize, Buffers};
use super::executor::{Executor, TASKS_PER_TURN};
use super::housekeeping::Household;
use super::pipes::Pipes;
use super::platform;
use super::reactor::Reactor;
use super::source;
use super::timer::{Moment, Timer, Timers};

/// Time between two rounds. An unneeded thing is kept for at least this long and at most twice as long.
const TIDY_EVERY: Duration = Duration::from_secs(20);

/// Fall in the number of sockets after which the allocator is asked to return memory. A socket accounts for
/// some 2 KB, and the call may take a millisecond.
const FLOOD_SOCKETS: usize = 128;

/// A handle to the worker of this thread. It is cheap to clone and cannot leave the thread.
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
    /// A weak reference, because tasks hold the worker and the executor must be able to end before them.
    executor: Weak<Executor>,
    /// The time at the start of this turn. All tasks of a turn share this one clock reading.
    now: Cell<Instant>,
    moment: Cell<Moment>,
    /// The longest time that a task passed to [`Worker::coalesce`] in this turn.
    coalescing: Cell<Duration>,
    /// The folder that tasks of this turn have opened last.
    folder: RefCell<Option<(Arc<Path>, Rc<OwnedFd>)>>,
}

impl Inner {
    pub(super) fn executor(&self) -> Rc<Executor> {
        self.executor.upgrade().expect("invariant: tasks run inside the executor's life")
    }
}

impl Worker {
    /// Starts a task on this worker. Dropping the handle cancels the task; `detach` lets it run without one.
    ///
    /// # Panics
    /// If the run has ended or is ending. So a destructor must not call it.
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Task<T> {
        self.inner.executor().spawn(future)
    }

    /// The time at the start of this turn of the loop. It is at most one turn old.
    pub fn now(&self) -> Instant {
        self.inner.now.get()
    }

    /// [`Worker::now`] on the clock of this worker, for times that are measured and not passed to another thread.
    pub fn moment(&self) -> Moment {
        self.inner.moment.get()
    }

    /// Announces that more pieces of a burst follow the bytes that were just passed on. If the worker has
    /// nothing else to do, it sleeps for `time` before it asks the kernel. The pieces that arrive meanwhile
    /// then take one read and one write together. All other events wait that long too. Linux may add 50 us
    /// (`PR_SET_TIMERSLACK`).
    pub fn coalesce(&self, time: Duration) {
        self.inner.coalescing.set(self.inner.coalescing.get().max(time));
    }

    /// The folder at `path`, opened by `open` unless a task has opened it in this turn. It is closed when the turn
    /// ends, so that the next turn sees a folder that was put in its place.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn folder<E>(
        &self,
        path: &Arc<Path>,
        open: impl FnOnce() -> Result<OwnedFd, E>,
    ) -> Result<Rc<OwnedFd>, E> {
        let mut last = self.inner.folder.borrow_mut();
        if let Some((_, folder)) = last.as_ref().filter(|(opened, _)| Arc::ptr_eq(opened, path)) {
            return Ok(folder.clone());
        }
        let folder = Rc::new(open()?);
        *last = Some((path.clone(), folder.clone()));
        Ok(folder)
    }

    /// Creates a deadline that can be armed again and again without a system call.
    pub fn timer(&self) -> Timer {
        Timer::new(&self.inner.timers)
    }

    /// Waits for `duration`. The resolution is [`super::timer::TICK`].
    pub async fn sleep(&self, duration: Duration) {
        let timer = self.timer();
        timer.arm(duration);
        timer.expired().await;
    }

    /// Lets the other tasks run first, also those whose sockets have become ready meanwhile.
    pub async fn yield_now(&self) {
        futures_lite::future::yield_now().await;
    }

    /// Lends an empty buffer of [`SMALL_BUFFER_BYTES`].
    pub fn buffer(&self) -> Buffer {
        self.buffer_of(BufferSize::Small)
    }

    /// Lends an empty buffer.
    pub fn buffer_of(&self, size: BufferSize) -> Buffer {
        Buffer::new(&self.inner.buffers, size)
    }

    pub(super) async fn keep_house(self) {
        loop {
            self.sleep(TIDY_EVERY).await;
            self.tidy();
        }
    }

    /// Drops the things that were not needed since the last call.
    pub(super) fn tidy(&self) {
        let inner = &self.inner;
        inner.buffers.tidy();
        inner.pipes.free.tidy();
        inner.household.tidy();
        if inner.reactor.shrink() >= FLOOD_SOCKETS {
            inner.timers.shrink();
            inner.executor().shrink();
            platform::return_memory();
        }
    }
}

/// Makes this thread a worker until `main` has ended, and then drops every other task.
///
/// # Errors
/// If the reactor cannot be created (no file descriptor is left), or if waiting in the kernel fails.
///
/// # Panics
/// If this thread is a worker already.
pub fn run<F: Future + 'static>(main: impl FnOnce(Worker) -> F) -> io::Result<F::Output>
where
    F::Output: 'static,
{
    let reactor = Reactor::new()?;
    let executor = Rc::new(Executor::new(reactor.poller().clone()));
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
            moment: Cell::new(Moment::START),
            coalescing: Cell::default(),
            folder: RefCell::default(),
        }),
    };
    turn_until_done(&worker, &executor, main(worker.clone()))
}

/// Runs the loop that `mod.rs` draws.
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
    let Inner { reactor, timers, now, moment, coalescing, folder, .. } = &*worker.inner;
    loop {
        let idle = !(0..TASKS_PER_TURN).all(|_| executor.run_one());
        if main.is_finished() {
            return Ok(futures_lite::future::block_on(main));
        }
        folder.take();
        let coalescing = coalescing.take();
        if idle && !coalescing.is_zero() && !Executor::has_more() {
            std::thread::sleep(coalescing);
        }
        // Set `parked` before the last look at the remote queue. A thread that pushes after that look sees
        // `parked` and interrupts the wait.
        executor.shared.parked.store(true, Ordering::SeqCst);
        let busy = executor.collect();
        let timeout = if busy { Some(Duration::ZERO) } else { timers.next(Instant::now()) };
        reactor.wait(timeout)?;
        executor.shared.parked.store(false, Ordering::Relaxed);
        now.set(Instant::now());
        moment.set(timers.fire(now.get()));
        source::begin_turn();
        Executor::begin_turn();
    }
}
