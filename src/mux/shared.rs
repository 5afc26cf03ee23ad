//! The state of a connection that its driver and its streams share.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::slot::Slot;
use super::space::WorkerSpace;
use crate::http2::{Connection, ConnectionError, StreamKey};
use crate::tls::{self, StreamEnd};
use crate::worker::Worker;

/// A connection of HTTP/2.
pub(super) struct Shared {
    /// The connection below. Only the driver reads and writes it.
    pub(super) io: tls::Stream,
    pub(super) worker: Worker,
    /// Whether this side opens the streams, at a target.
    pub(super) is_client: bool,
    pub(super) space: Rc<WorkerSpace>,
    /// Borrowed for one call, and never across an await.
    pub(super) state: RefCell<State>,
    /// The task of the driver.
    pub(super) driver: Cell<Option<Waker>>,
}

/// The state of a connection.
pub(super) struct State {
    pub(super) engine: Connection,
    /// Control frames that are not in `output` yet.
    pub(super) control: Vec<u8>,
    /// Bytes on their way into the connection below, and how many of them were written.
    pub(super) output: Vec<u8>,
    pub(super) written: usize,
    /// The slots, by the engine's numbers.
    pub(super) slots: Vec<Slot>,
    /// Slots in use.
    pub(super) open: usize,
    /// Streams that have something to send, in turn.
    pub(super) ready: VecDeque<usize>,
    /// Streams that have begun and have no task yet.
    pub(super) begun: VecDeque<usize>,
    /// Streams of ours whose requests have not begun.
    pub(super) reserved: usize,
    /// Whether the peer's SETTINGS came.
    pub(super) has_settings: bool,
    /// Whether a frame of a stream came since the flag was taken.
    pub(super) has_stream_frame: bool,
    /// Whether the connection is gone, or about to go.
    pub(super) is_lost: bool,
    /// The rule that the peer broke, if it did.
    pub(super) fault: Option<ConnectionError>,
    /// The task that waits for the peer's SETTINGS.
    pub(super) opener: Option<Waker>,
}

impl State {
    /// The state of a new connection. `control` has its first frames.
    pub(super) fn new(engine: Connection, control: Vec<u8>) -> State {
        let (output, slots, ready, begun) = Default::default();
        State {
            engine,
            control,
            output,
            written: 0,
            slots,
            open: 0,
            ready,
            begun,
            reserved: 0,
            has_settings: false,
            has_stream_frame: false,
            is_lost: false,
            fault: None,
            opener: None,
        }
    }

    /// Whether bytes of the output were not written.
    pub(super) fn is_writing(&self) -> bool {
        self.written < self.output.len()
    }

    /// Ends all streams.
    pub(super) fn lose_all(&mut self) {
        self.is_lost = true;
        self.wake_opener();
        self.begun.clear();
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            // If the target broke a rule, that is why its streams are gone.
            let fault = self.fault.filter(|_| slot.is_own);
            slot.gone = slot.gone.or(fault.map(|fault| StreamEnd::Malformed(fault.detail)));
            slot.lose();
            // A stream that has no task any more, or none yet, is closed here.
            if slot.is_detached || slot.head.is_some() && !slot.is_own {
                self.close(index);
            }
        }
    }

    /// Ends the streams for which nothing can come any more: those whose request is not complete, or all.
    pub(super) fn lose_at_end(&mut self, all: bool) {
        self.is_lost = true;
        self.wake_opener();
        let is_lost = |slot: &Slot| slot.key.is_some() && (all || !slot.has_ended);
        for index in 0..self.slots.len() {
            if is_lost(&self.slots[index]) {
                self.slots[index].lose();
                if self.slots[index].is_detached {
                    self.close(index);
                }
            }
        }
    }

    /// Wakes the task that waits until the connection can be used.
    pub(super) fn wake_opener(&mut self) {
        if let Some(waker) = self.opener.take() {
            waker.wake();
        }
    }

    /// Closes the streams without a task whose peer took nothing for `time`.
    pub(super) fn close_stalled(&mut self, now: Instant, time: Duration) {
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            let since = *slot.progress.get_or_insert(now);
            if slot.key.is_some() && slot.is_detached && now >= since + time {
                self.close(index);
            }
        }
    }

    /// Gives back memory that an idle connection does not need.
    pub(super) fn settle(&mut self) {
        self.engine.shrink();
        if self.open == 0 {
            (self.slots, self.ready, self.begun) = Default::default();
        }
    }

    /// The slot of a stream.
    pub(super) fn slot(&mut self, key: StreamKey) -> Option<&mut Slot> {
        self.slots.get_mut(key.slot()).filter(|slot| slot.key == Some(key))
    }

    /// Puts a stream into the queue of those that have something to send.
    pub(super) fn queue(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        if !slot.is_queued && slot.has_output() {
            slot.is_queued = true;
            self.ready.push_back(index);
        }
    }

    /// Frees a slot, and closes its stream.
    pub(super) fn close(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        if let Some(key) = slot.key.take() {
            slot.free();
            self.open -= 1;
            self.ready.retain(|queued| *queued != index);
            self.engine.close(key, &mut self.control);
        }
    }
}

impl Shared {
    /// Notes the task of the driver.
    pub(super) fn register_driver(&self, cx: &Context<'_>) {
        let waker = self.driver.take().filter(|waker| waker.will_wake(cx.waker()));
        self.driver.set(Some(waker.unwrap_or_else(|| cx.waker().clone())));
    }

    /// Takes memory for frames, if the connection has none.
    pub(super) fn lend_memory(&self) {
        let state = &mut *self.state.borrow_mut();
        for output in [&mut state.control, &mut state.output] {
            if output.capacity() == 0 {
                *output = self.space.memory.borrow_mut().take();
            }
        }
    }

    /// Gives the memory for frames back. All of them were written.
    pub(super) fn take_memory_back(&self, state: &mut State) {
        let memory = &mut *self.space.memory.borrow_mut();
        memory.keep(std::mem::take(&mut state.control));
        memory.keep(std::mem::take(&mut state.output));
    }

    /// Wakes the driver, because there is something to write.
    pub(super) fn wake_driver(&self) {
        if let Some(waker) = self.driver.take() {
            waker.wake();
        }
    }
}
