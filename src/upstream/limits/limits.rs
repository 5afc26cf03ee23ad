//! The limits of the endpoints of an upstream, and the requests that wait for a free place.
//!
//! All workers share them, and so do all generations of an upstream: a request of an old generation gives its place back
//! to one of the newest. Requests wait in one line, first come first served. If a place is free, the first tries to take
//! it, in the newest generation.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use event_listener::{Event, EventListener};

use crate::upstream::endpoint_state::EndpointState;

/// Wakes the workers, so that they close idle connections whose places are wanted.
static ROOM_WANTED: Event = Event::new();

/// The limits of the endpoints of an upstream, and the requests that wait.
pub(in crate::upstream) struct Limits {
    /// The most requests at each endpoint; `u32::MAX` stands for no limit.
    max_requests: AtomicU32,
    /// The most connections to each endpoint; `u32::MAX` stands for no limit.
    max_connections: AtomicU32,
    /// The number of requests that wait. It is written before a request looks for a place for the last time, and read after
    /// a place became free, both in one order with the counts of places (`SeqCst`). So no free place is missed.
    waiting: AtomicUsize,
    line: Mutex<Line>,
}

/// The requests that wait.
#[derive(Default)]
struct Line {
    /// The number of the last ticket.
    last: u64,
    /// The number of the ticket and the waker of each, in the order of the numbers.
    waiting: VecDeque<(u64, Option<Waker>)>,
}

/// A request's place in the line. It leaves the line when dropped, and the next one is woken.
pub(in crate::upstream) struct Ticket {
    limits: Arc<Limits>,
    number: u64,
}

/// A connection that is counted at its endpoint until this value is dropped.
pub(in crate::upstream) struct OpenConnection {
    state: Arc<EndpointState>,
    limits: Arc<Limits>,
}

/// The error of a connection for which there is no place.
#[derive(Debug)]
pub(in crate::upstream) struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the endpoint has as many connections as it may have")
    }
}

impl std::error::Error for Busy {}

/// Whether an error is [`Busy`].
pub(in crate::upstream) fn is_busy(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Busy>())
}

impl Limits {
    pub(in crate::upstream) fn new() -> Self {
        Self {
            max_requests: AtomicU32::new(u32::MAX),
            max_connections: AtomicU32::new(u32::MAX),
            waiting: AtomicUsize::new(0),
            line: Mutex::default(),
        }
    }

    /// Changes the limits, for a reload, and lets those that wait try again. `None` is no limit.
    pub(in crate::upstream) fn set(&self, max_requests: Option<u32>, max_connections: Option<u32>) {
        self.max_requests.store(max_requests.unwrap_or(u32::MAX), SeqCst);
        self.max_connections.store(max_connections.unwrap_or(u32::MAX), SeqCst);
        self.wake();
    }

    /// Whether an endpoint has a free place for a request. `has_idle` tells whether the worker has an idle connection to
    /// it.
    pub(in crate::upstream) fn have_room(&self, state: &EndpointState, has_idle: impl Fn() -> bool) -> bool {
        state.open() < self.max_requests.load(Relaxed)
            && (state.connections() < self.max_connections.load(Relaxed) || has_idle())
    }

    /// Counts a request at an endpoint, unless it has as many as it may have.
    pub(in crate::upstream) fn begin_request(&self, state: &EndpointState) -> bool {
        state.begin_request_below(self.max_requests.load(Relaxed))
    }

    /// Counts the end of a request.
    pub(in crate::upstream) fn end_request(&self, state: &EndpointState) {
        state.end_request();
        self.place_is_free();
    }

    /// Counts a connection to an endpoint, unless it has as many as it may have.
    pub(in crate::upstream) fn begin_connection(
        self: &Arc<Self>,
        state: &Arc<EndpointState>,
    ) -> Option<OpenConnection> {
        let counted = state.begin_connection_below(self.max_connections.load(Relaxed));
        counted.then(|| OpenConnection { state: state.clone(), limits: self.clone() })
    }

    /// The connections to an endpoint that are idle, at any worker, and could make room for a request.
    pub(in crate::upstream) fn idle(&self, state: &EndpointState) -> usize {
        // Each request has a connection, or opens one. Connections are counted only if their number has a limit.
        let idle = state.connections().saturating_sub(state.open());
        if state.open() < self.max_requests.load(Relaxed) { idle as usize } else { 0 }
    }

    /// Whether requests wait.
    pub(in crate::upstream) fn have_waiting(&self) -> bool {
        self.waiting.load(SeqCst) != 0
    }

    /// Lets the first that waits try again.
    pub(in crate::upstream) fn wake(&self) {
        // The waker is called without the lock, because it may drop its task.
        let first = self.lock().waiting.front_mut().and_then(|(_, waker)| waker.take());
        first.into_iter().for_each(Waker::wake);
    }

    /// Takes the last place in the line, unless `most` wait there already. A request that has waited `before` takes the
    /// place that it had.
    pub(in crate::upstream) fn join(self: &Arc<Self>, most: usize, before: Option<u64>) -> Option<Ticket> {
        let mut line = self.lock();
        let number = match before {
            Some(number) => number,
            None if line.waiting.len() >= most => return None,
            None => {
                line.last += 1;
                line.last
            }
        };
        let index = line.waiting.partition_point(|(other, _)| *other < number);
        line.waiting.insert(index, (number, None));
        self.waiting.fetch_add(1, SeqCst);
        Some(Ticket { limits: self.clone(), number })
    }

    /// Asks the workers to close idle connections, for requests that lack only a connection.
    pub(in crate::upstream) fn ask_for_room(&self) {
        if self.max_connections.load(Relaxed) != u32::MAX {
            ROOM_WANTED.notify(usize::MAX);
        }
    }

    fn place_is_free(&self) {
        if self.have_waiting() {
            self.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        // The line is valid after every statement, even after a panic.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    pub(in crate::upstream) fn number(&self) -> u64 {
        self.number
    }

    /// Ready with what `take` gives, once this is the first of the line and there is a place.
    pub(in crate::upstream) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        take: impl FnOnce() -> Option<T>,
    ) -> Poll<T> {
        // The waker is stored before the last look for a place.
        if !self.comes_first(cx) {
            return Poll::Pending;
        }
        take().map_or(Poll::Pending, Poll::Ready)
    }

    /// Stores the waker. Returns whether this is the first of the line.
    fn comes_first(&self, cx: &mut Context<'_>) -> bool {
        let mut line = self.limits.lock();
        let Some(index) = line.index(self.number) else { return false };
        line.waiting[index].1 = Some(cx.waker().clone());
        index == 0
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut line = self.limits.lock();
        if let Some(index) = line.index(self.number) {
            line.waiting.remove(index);
        }
        if line.waiting.is_empty() {
            line.waiting.shrink_to(0);
        }
        drop(line);
        self.limits.waiting.fetch_sub(1, SeqCst);
        // There may be more free places, and this one may have been woken for one that it does not take.
        self.limits.place_is_free();
    }
}

impl Line {
    fn index(&self, number: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&number, |(number, _)| *number).ok()
    }
}

impl OpenConnection {
    /// Whether it is one to this endpoint.
    pub(in crate::upstream) fn is_at(&self, state: &Arc<EndpointState>) -> bool {
        Arc::ptr_eq(&self.state, state)
    }

    /// Whether it should make room while it is idle.
    pub(in crate::upstream) fn is_wanted(&self) -> bool {
        self.limits.have_waiting() && self.state.connections() >= self.limits.max_connections.load(Relaxed)
    }

    /// The next time at which idle connections should make room.
    pub(in crate::upstream) fn wanted() -> EventListener {
        ROOM_WANTED.listen()
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.state.end_connection();
        self.limits.place_is_free();
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
