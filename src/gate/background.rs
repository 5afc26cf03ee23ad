//! Low-priority threads for the long work of a reload, so that workers do not wait for it.
//!
//! Reading 10,000 rules takes about 70 ms. On the core of a worker, the kernel may let an ordinary thread run
//! until the next tick (4 ms). Exchanges on that worker wait as long. A nicer thread keeps its first slice after a
//! sleep too. So the work is first given to a thread that runs only while no other thread wants the core. A
//! machine that is never idle would starve that thread. So a second thread, which is only nicer than workers, may
//! do the same work. It starts if the first has not begun after [`IDLE_START_MAX`] or is not done after
//! [`IDLE_TIME_MAX`]. The first result counts.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use futures_lite::FutureExt;
use futures_lite::future::block_on;
use smol::channel::{Receiver, Sender, bounded};
use smol::{Executor, Task, Timer};

use crate::worker;

/// Time for which workers are not disturbed at all: twice the time that 10,000 rules take beside a busy worker.
const IDLE_TIME_MAX: Duration = Duration::from_millis(250);

/// Time in which the idle thread has to begin: many times what it needs on a machine with an idle core now and
/// then.
const IDLE_START_MAX: Duration = Duration::from_millis(20);

/// The two threads. They end when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Background {
    /// Runs only while no other thread wants the core.
    idle: LowPriorityThread,
    /// Takes a small share of the core.
    nice: LowPriorityThread,
}

/// The time until which one piece of work leaves the workers undisturbed.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    /// Starts now.
    pub(super) fn begin() -> Self {
        Self(Instant::now() + IDLE_TIME_MAX)
    }
}

impl Background {
    /// # Errors
    /// A thread cannot be started.
    pub(super) fn start() -> io::Result<Self> {
        let idle = LowPriorityThread::start("when-idle", worker::use_idle_priority)?;
        let nice = LowPriorityThread::start("background", worker::lower_priority)?;
        Ok(Self { idle, nice })
    }

    /// Runs `work` and returns its result. `work` may run twice, on two threads at once, so it must have no side
    /// effects. It must not start threads, because they would inherit the low priority. It must not take a lock
    /// that a worker takes, because its holder may not be scheduled for a while.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        deadline: Deadline,
        work: impl Fn() -> T + Send + Sync + 'static,
    ) -> T {
        let job = Arc::new(Job { work: ArcSwapOption::from_pointee(work), begun: AtomicBool::new(false) });
        let (first, second) = (job.clone(), job.clone());
        let ends = ClearWork(job);
        let patiently = self.idle.spawn(async move { first.done() });
        let impatiently = async {
            Timer::after(IDLE_START_MAX).await;
            if second.begun.load(Ordering::Relaxed) {
                Timer::at(deadline.0).await;
            }
            self.nice.spawn(async move { second.done() }).await
        };
        let done = patiently.or(impatiently).await;
        drop(ends);
        done.expect("invariant: the work is there until one of them has done it")
    }

    /// Drops `value` in the background. The caller need not wait for the task.
    pub(super) fn discard<T: Send + 'static>(&self, value: T) -> Task<()> {
        let value = Mutex::new(Some(value));
        let take = move || {
            let taken = value.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(taken);
        };
        let background = self.clone();
        smol::spawn(async move { background.run(Deadline::begin(), take).await })
    }

    /// Holds `value` until `returned` closes, then drops it in the background.
    ///
    /// A generation is held here until no worker has it. Exchanges that began on it may go on for hours. Dropping
    /// 10,000 rules takes milliseconds, and the worker that ends the last exchange must not spend them.
    pub(super) async fn drop_when_unused<T: Send + 'static>(self, value: T, returned: Receiver<Infallible>) {
        // Nothing can be sent, so `recv` returns when the channel closes.
        let _ = returned.recv().await;
        self.discard(value).await;
    }
}

/// Work to do until one of the threads has done it. It is behind no lock, because the idle thread might hold that
/// for long.
struct Job<W> {
    work: ArcSwapOption<W>,
    begun: AtomicBool,
}

impl<W> Job<W> {
    fn done<T>(&self) -> Option<T>
    where
        W: Fn() -> T,
    {
        let work = self.work.load_full()?;
        self.begun.store(true, Ordering::Relaxed);
        Some(work())
    }
}

/// Takes the work away when it is done. The idle thread may reach its task much later. Until then, the work would
/// keep its captures in memory, such as the old rules.
struct ClearWork<W>(Arc<Job<W>>);

impl<W> Drop for ClearWork<W> {
    fn drop(&mut self) {
        self.0.work.store(None);
    }
}

/// A thread and its tasks.
#[derive(Clone)]
struct LowPriorityThread {
    executor: Arc<Executor<'static>>,
    /// Nothing is sent. The thread ends when this closes.
    _open: Sender<()>,
}

impl LowPriorityThread {
    /// Starts a thread. It calls `lower` before anything else.
    fn start(name: &str, lower: fn()) -> io::Result<Self> {
        let executor = Arc::new(Executor::new());
        let (open, closed) = bounded::<()>(1);
        let tasks = executor.clone();
        let run = move || {
            lower();
            // Ends with an error, because the channel is closed and nothing is sent.
            let _ = block_on(tasks.run(closed.recv()));
        };
        thread::Builder::new().name(name.into()).spawn(run)?;
        Ok(Self { executor, _open: open })
    }

    fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Task<T> {
        self.executor.spawn(task)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Barrier;

    use futures_lite::future::poll_once;

    use super::*;
    use crate::config::plan::Plan;
    use crate::generation::{Generation, GenerationHandle};
    use crate::log::AccessSwitch;
    use crate::tls::TicketKeys;
    use crate::upstream::NameCache;

    /// The name of the current thread.
    fn name() -> String {
        thread::current().name().unwrap().to_owned()
    }

    #[test]
    fn work_with_time_left_is_done_by_the_idle_thread() {
        let background = Background::start().unwrap();
        let deadline = Deadline(Instant::now() + Duration::from_secs(3600));
        // Without an idle core, the thread may miss its time, so this tries several times.
        let served = |_| block_on(background.run(deadline, name)) == "when-idle";
        assert!((0..1000).any(served));
    }

    /// The idle thread has begun, and is not done in time.
    #[test]
    fn work_that_is_late_is_done_by_the_nice_thread() {
        let background = Background::start().unwrap();
        let (release, held) = bounded::<()>(1);
        let work = move || {
            if name() == "when-idle" {
                // Ends with an error when the sender is dropped.
                let _ = held.recv_blocking();
            }
            name()
        };
        assert_eq!(block_on(background.run(Deadline::begin(), work)), "background");
        drop(release);
    }

    /// The idle thread gets no time; here, because another task holds it.
    #[test]
    fn work_that_the_idle_thread_does_not_begin_is_done_by_the_nice_thread() {
        let background = Background::start().unwrap();
        let (begun, ended) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let holds = (begun.clone(), ended.clone());
        let held = background.idle.spawn(async move {
            holds.0.wait();
            holds.1.wait();
        });
        begun.wait();
        let (held_by_work, witness) = (Arc::new(()), Arc::new(()));
        let alive = (Arc::downgrade(&held_by_work), Arc::downgrade(&witness));
        let work = move || (name(), held_by_work.clone()).0;
        assert_eq!(block_on(background.run(Deadline::begin(), work)), "background");
        block_on(background.discard(witness));
        let alive = (alive.0.strong_count(), alive.1.strong_count());
        assert_eq!(alive, (0, 0), "nothing waits for the idle thread");
        ended.wait();
        block_on(held);
    }

    #[test]
    fn a_discarded_value_is_dropped_on_a_background_thread() {
        struct Witness(Arc<Mutex<String>>);
        impl Drop for Witness {
            fn drop(&mut self) {
                *self.0.lock().unwrap() = name();
            }
        }
        let gone = Arc::new(Mutex::new(String::new()));
        let background = Background::start().unwrap();
        block_on(background.discard(Witness(gone.clone())));
        let name = gone.lock().unwrap().clone();
        assert!(["when-idle", "background"].contains(&&*name), "{name}");
    }

    #[test]
    fn the_last_exchange_of_a_generation_does_not_drop_it() {
        let plan = Arc::new(Plan::empty());
        let generation = Generation::new(
            1,
            plan,
            &NameCache::default(),
            &TicketKeys::default(),
            &Arc::default(),
            AccessSwitch::default(),
            None,
        );
        let generation = Arc::new(generation.unwrap());
        let alive = Arc::downgrade(&generation);
        let (handle, returned) = GenerationHandle::new(generation.clone());
        let background = Background::start().unwrap();
        let mut retired = pin!(background.drop_when_unused(generation, returned));
        let exchange = handle.clone();
        drop(handle);
        assert!(block_on(poll_once(retired.as_mut())).is_none(), "an exchange is going on");
        drop(exchange);
        assert_eq!(alive.strong_count(), 1, "it ended here");
        block_on(retired);
        assert_eq!(alive.strong_count(), 0);
    }
}
