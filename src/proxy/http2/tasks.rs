//! Tasks for streams. A task serves one stream after the other, so that a stream needs no new one.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::generation::StreamPermit;
use crate::proxy::client::Client;

/// Tasks without a stream that a listener keeps on a worker.
const IDLE_MAX: usize = 256;

/// The tasks of a listener that wait for a stream.
#[derive(Default)]
pub(in crate::proxy) struct StreamTasks {
    idle: RefCell<Vec<Rc<Seat>>>,
}

/// A stream for a task: its client, its right to be open, and the list to which the task returns.
type Next = (Client, StreamPermit, Rc<StreamTasks>);

/// The place where a task gets its next stream.
#[derive(Default)]
struct Seat {
    next: Cell<Option<Next>>,
    is_closed: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Seat {
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
        for seat in self.idle.take() {
            seat.is_closed.set(true);
            seat.wake();
        }
    }
}

impl StreamTasks {
    /// Serves a stream in a task that waits for one, or in a new one. Such a task does not keep the list in memory while
    /// it waits, so it ends with the list.
    pub(super) fn run<S, F>(self: &Rc<Self>, client: Client, permit: StreamPermit, serve: &S)
    where
        S: Fn(Client) -> F + Clone + 'static,
        F: Future<Output = Option<Client>> + 'static,
    {
        let idle = self.idle.borrow_mut().pop();
        let worker = client.stream.worker();
        let next = Some((client, permit, self.clone()));
        match idle {
            Some(seat) => {
                seat.next.set(next);
                seat.wake();
            }
            None => {
                let seat = Rc::new(Seat { next: Cell::new(next), ..Seat::default() });
                worker.spawn(serve_streams(seat, serve.clone())).detach();
            }
        }
    }

    /// Lists a task as one that waits, unless there are enough.
    fn keep(&self, seat: &Rc<Seat>) -> bool {
        let mut idle = self.idle.borrow_mut();
        let has_room = idle.len() < IDLE_MAX;
        if has_room {
            idle.push(seat.clone());
        }
        has_room
    }
}

async fn serve_streams<S, F>(seat: Rc<Seat>, serve: S)
where
    S: Fn(Client) -> F,
    F: Future<Output = Option<Client>>,
{
    while let Some((client, permit, tasks)) = poll_fn(|cx| seat.poll_next(cx)).await {
        serve(client).await;
        drop(permit);
        if !tasks.keep(&seat) {
            return;
        }
    }
}
