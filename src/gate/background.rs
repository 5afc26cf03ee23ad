//! Where the long work of a reload is done: on one thread that gives way to the workers.
//!
//! Reading 10,000 rules takes some 70 ms. On a core that a worker runs on, too, the kernel would let an
//! ordinary thread go on until its next tick (4 ms) whenever the worker has just had more than its share of
//! the time: each exchange meanwhile would wait that long. It still does now and then, since it does not
//! interrupt somebody's first slice after a sleep. Nothing else is done here: the thread may wait itself when
//! the workers leave it little.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread;

use futures_lite::future::block_on;
use smol::channel::{Sender, bounded};
use smol::{Executor, Task};

use crate::worker;

/// The thread and its tasks; it ends when this is dropped. A task must start no thread: that would have
/// the same low priority, for ever.
pub(super) struct Background {
    executor: Arc<Executor<'static>>,
    /// Nothing is ever sent: that it closes is the end.
    _open: Sender<()>,
}

impl Background {
    /// # Errors
    /// When the thread cannot be started.
    pub(super) fn start() -> io::Result<Self> {
        let executor = Arc::new(Executor::new());
        let (open, closed) = bounded::<()>(1);
        let tasks = executor.clone();
        let run = move || {
            worker::give_way();
            // It is an error that ends it: the channel is closed.
            let _ = block_on(tasks.run(closed.recv()));
        };
        thread::Builder::new().name("background".into()).spawn(run)?;
        Ok(Self { executor, _open: open })
    }

    /// Has the thread run a task.
    pub(super) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Task<T> {
        self.executor.spawn(task)
    }
}
