//! Tasks for streams. A task serves one stream after the other, so that a stream needs no new one.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::generation::StreamPermit;
use crate::proxy::client::Client;

/// Tasks without a stream that a listener keeps on a worker. Each has room for an exchange, some 4 KB.
const IDLE_MAX: usize = 128;

/// The tasks of a listener that wait for a stream.
#[derive(Default)]
pub(in crate::proxy) struct StreamTasks {
    idle: RefCell<Vec<Rc<StreamTask>>>,
}

/// A stream for a task: its client, its right to be open, and the list to which the task returns.
type Next = (Client, StreamPermit, Rc<StreamTasks>);

/// A task, and the place where it gets its next stream.
#[derive(Default)]
struct StreamTask {
    next: Cell<Option<Next>>,
    is_closed: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl StreamTask {
    fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Next>> {
        if let Some(next) = self.next.take() {
            return Poll::Ready(Some(next));
        }
        if self.is_closed.get() {
            return Poll::Ready(None);
        }
        let waker = self.waker.take().filter(|waker| waker.will_wake(cx.waker()));
        self.waker.set(Some(waker.unwrap_or_else(|| cx.waker().clone())));
        Poll::Pending
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Drop for StreamTasks {
    fn drop(&mut self) {
        for task in self.idle.take() {
            task.is_closed.set(true);
            task.wake();
        }
    }
}

impl StreamTasks {
    /// Serves a stream in a task that waits for one, or in a new one. Such a task does not keep the list in memory while
    /// it waits, so it ends with the list.
    pub(super) fn run<S, F>(self: &Rc<Self>, client: Client, permit: StreamPermit, serve: S)
    where
        S: Fn(Client) -> F + Copy + 'static,
        F: Future<Output = ()> + 'static,
    {
        let idle = self.idle.borrow_mut().pop();
        let worker = client.stream.worker();
        let next = Some((client, permit, self.clone()));
        match idle {
            Some(task) => {
                task.next.set(next);
                task.wake();
            }
            None => {
                let task = Rc::new(StreamTask { next: Cell::new(next), ..StreamTask::default() });
                worker.spawn(serve_streams(task, serve)).detach();
            }
        }
    }

    /// Lists a task as one that waits, unless there are enough.
    fn keep(&self, task: &Rc<StreamTask>) -> bool {
        let mut idle = self.idle.borrow_mut();
        let has_room = idle.len() < IDLE_MAX;
        if has_room {
            idle.push(task.clone());
        }
        has_room
    }
}

async fn serve_streams<S, F>(task: Rc<StreamTask>, serve: S)
where
    S: Fn(Client) -> F,
    F: Future<Output = ()>,
{
    while let Some((client, permit, tasks)) = poll_fn(|cx| task.poll_next(cx)).await {
        serve(client).await;
        drop(permit);
        if !tasks.keep(&task) {
            return;
        }
    }
}
