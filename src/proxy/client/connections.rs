//! The connections of one listener. They drain when the listener closes, and are closed if they do not end in time. A
//! tunnel is closed, too, if a reload has removed its rule.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;
use slab::Slab;

use crate::generation::ListenerSnapshot;
use crate::generation::TunnelContext;
use crate::tls::Admission;

/// How long a draining connection waits for a request after its beginning, and after each response that kept it open.
/// The client may be sending a request already, and a close would lose it.
const STAYS: Duration = Duration::from_secs(1);

/// The connections of one listener on one worker.
#[derive(Clone, Default)]
pub(in crate::proxy) struct Connections {
    state: Rc<State>,
}

#[derive(Default)]
struct State {
    open: RefCell<Slab<Weak<ConnectionHandle>>>,
    draining: Cell<bool>,
    /// The task that waits until all connections are closed.
    closing: Cell<Option<Waker>>,
    /// The snapshot of the last reload; `None` before the first.
    reloaded: RefCell<Option<Rc<ListenerSnapshot>>>,
}

/// How far a connection has been told to end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum DrainStage {
    /// It serves requests.
    Serving,
    /// It finishes its exchange and takes no further request.
    Draining,
    /// It ends at once.
    Closed,
}

/// The state that the task of a connection shares with its listener.
pub(in crate::proxy) struct ConnectionHandle {
    connections: Rc<State>,
    key: usize,
    stage: Cell<DrainStage>,
    /// The task of the connection.
    waker: Cell<Option<Waker>>,
    /// Bytes of all responses.
    bytes_answered: Cell<u64>,
    /// When the connection began, or its last response was sent.
    answered: Cell<Instant>,
    /// The connection has to make room, so it waits for no further request.
    must_make_room: Cell<bool>,
    /// The rule of a tunnel, and how its client was admitted.
    tunnel: RefCell<Option<TunnelRule>>,
}

type TunnelRule = (Rc<TunnelContext>, Admission);

impl Connections {
    /// Registers a connection until its handle is dropped.
    pub(in crate::proxy) fn register(&self, now: Instant) -> Rc<ConnectionHandle> {
        let mut open = self.state.open.borrow_mut();
        let entry = open.vacant_entry();
        let stage = if self.state.draining.get() { DrainStage::Draining } else { DrainStage::Serving };
        let handle = Rc::new(ConnectionHandle {
            connections: self.state.clone(),
            key: entry.key(),
            stage: Cell::new(stage),
            waker: Cell::default(),
            bytes_answered: Cell::default(),
            answered: Cell::new(now),
            must_make_room: Cell::default(),
            tunnel: RefCell::default(),
        });
        entry.insert(Rc::downgrade(&handle));
        handle
    }

    /// Tells all connections to drain, and those that come later, too.
    pub(in crate::proxy) fn drain(&self) {
        self.state.draining.set(true);
        self.advance(DrainStage::Draining, |_| true);
    }

    /// Closes every connection now.
    pub(in crate::proxy) fn close_all(&self) {
        self.advance(DrainStage::Closed, |_| true);
    }

    /// Applies a reload: the listener serves `snapshot` from now on. A tunnel ends after the `shutdown_timeout` of
    /// `snapshot` if its rule is gone, or if its client would not be admitted any more.
    pub(in crate::proxy) fn reload(&self, snapshot: &Rc<ListenerSnapshot>) {
        self.state.reloaded.replace(Some(snapshot.clone()));
        let mut serves = serves_rule(snapshot);
        let gone: Vec<usize> = {
            let open = self.state.open.borrow();
            let handles = open.iter().filter_map(|(key, handle)| Some((key, handle.upgrade()?)));
            handles.filter_map(|(key, handle)| handle.has_lost_its_rule(&mut serves).then_some(key)).collect()
        };
        if !gone.is_empty() {
            self.close_after_timeout(snapshot, gone);
        }
    }

    /// Closes these tunnels after the `shutdown_timeout` of `snapshot`, unless a later reload has brought their rule
    /// back. `keys` are sorted.
    fn close_after_timeout(&self, snapshot: &Rc<ListenerSnapshot>, keys: Vec<usize>) {
        let (worker, timeout) = (snapshot.worker().clone(), snapshot.listener().shutdown_timeout);
        let state = Rc::downgrade(&self.state);
        let end = async move {
            worker.sleep(timeout).await;
            let Some(state) = state.upgrade() else { return };
            let Some(snapshot) = state.reloaded.borrow().clone() else { return };
            let mut serves = serves_rule(&snapshot);
            Self { state }.advance(DrainStage::Closed, |handle| {
                keys.binary_search(&handle.key).is_ok() && handle.has_lost_its_rule(&mut serves)
            });
        };
        snapshot.worker().spawn(end).detach();
    }

    /// Waits until no connection is open.
    pub(in crate::proxy) async fn all_closed(&self) {
        poll_fn(|cx| {
            if self.state.open.borrow().is_empty() {
                return Poll::Ready(());
            }
            self.state.closing.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    fn advance(&self, stage: DrainStage, mut which: impl FnMut(&ConnectionHandle) -> bool) {
        let open = self.state.open.borrow();
        for handle in open.iter().filter_map(|(_, handle)| handle.upgrade()) {
            if which(&handle) {
                handle.advance(stage);
            }
        }
    }
}

/// Tells whether `snapshot` lets a tunnel go on. Each rule is compared once, for any number of tunnels.
fn serves_rule(snapshot: &ListenerSnapshot) -> impl FnMut(&TunnelRule) -> bool {
    let mut known: HashMap<(u64, Option<usize>), bool> = HashMap::new();
    move |(context, admission)| {
        *known.entry(context.place).or_insert_with(|| context.is_served_by(snapshot))
            && snapshot.still_admits(admission)
    }
}

impl ConnectionHandle {
    /// Counts bytes of a response that were sent at `now`.
    pub(in crate::proxy) fn was_answered(&self, bytes: u64, now: Instant) {
        self.bytes_answered.set(self.bytes_answered.get() + bytes);
        self.answered.set(now);
    }

    /// Bytes of all responses on this connection.
    pub(in crate::proxy) fn bytes_answered(&self) -> u64 {
        self.bytes_answered.get()
    }

    /// How long a draining connection still waits for a request.
    pub(in crate::proxy) fn stays_for(&self, now: Instant) -> Duration {
        if self.must_make_room() {
            return Duration::ZERO;
        }
        STAYS.saturating_sub(now.saturating_duration_since(self.answered.get()))
    }

    /// Whether the connection was told to drain.
    pub(in crate::proxy) fn is_draining(&self) -> bool {
        self.stage.get() >= DrainStage::Draining
    }

    /// Tells the connection to drain without a further wait for a request, because another connection needs its
    /// permit.
    pub(in crate::proxy) fn make_room(&self) {
        self.must_make_room.set(true);
        self.advance(DrainStage::Draining);
        self.wake();
    }

    /// Whether the connection was told to make room for another.
    pub(in crate::proxy) fn must_make_room(&self) -> bool {
        self.must_make_room.get()
    }

    /// Ready when the connection was told to drain.
    pub(in crate::proxy) fn poll_draining(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_stage(DrainStage::Draining, cx)
    }

    /// Marks this connection as a tunnel. If a reload has removed its rule in the meantime, it gets
    /// `shutdown_timeout`, like tunnels that were open during that reload.
    pub(in crate::proxy) fn mark_as_tunnel(&self, context: &Rc<TunnelContext>, admission: Admission) {
        self.tunnel.replace(Some((context.clone(), admission)));
        let reloaded = self.connections.reloaded.borrow().clone();
        let Some(now) = reloaded.filter(|now| now.generation.number != context.place.0) else { return };
        if self.has_lost_its_rule(&mut serves_rule(&now)) {
            Connections { state: self.connections.clone() }.close_after_timeout(&now, vec![self.key]);
        }
    }

    fn has_lost_its_rule(&self, serves: &mut impl FnMut(&TunnelRule) -> bool) -> bool {
        self.tunnel.borrow().as_ref().is_some_and(|rule| !serves(rule))
    }

    fn advance(&self, stage: DrainStage) {
        if self.stage.get() < stage {
            self.stage.set(stage);
            self.wake();
        }
    }

    fn wake(&self) {
        self.waker.take().into_iter().for_each(Waker::wake);
    }

    fn poll_stage(&self, stage: DrainStage, cx: &mut Context<'_>) -> Poll<()> {
        if self.stage.get() >= stage {
            return Poll::Ready(());
        }
        // Only the task of the connection polls this, so one waker is enough.
        let waker = self.waker.take().filter(|waker| waker.will_wake(cx.waker()));
        self.waker.set(Some(waker.unwrap_or_else(|| cx.waker().clone())));
        Poll::Pending
    }
}

pin_project! {
    /// Polls `stay`, the life of a connection, until it is done. Calls `on_closed` if the connection is closed before
    /// that.
    pub(in crate::proxy) struct UntilClosed<F, G> {
        handle: Rc<ConnectionHandle>,
        #[pin]
        stay: F,
        on_closed: G,
    }
}

impl<F: Future, G: Fn() -> F::Output> UntilClosed<F, G> {
    pub(in crate::proxy) fn new(handle: Rc<ConnectionHandle>, stay: F, on_closed: G) -> Self {
        Self { handle, stay, on_closed }
    }
}

impl<F: Future, G: Fn() -> F::Output> Future for UntilClosed<F, G> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        match this.handle.poll_stage(DrainStage::Closed, cx) {
            Poll::Ready(()) => Poll::Ready((this.on_closed)()),
            Poll::Pending => this.stay.poll(cx),
        }
    }
}

impl Drop for ConnectionHandle {
    fn drop(&mut self) {
        let mut open = self.connections.open.borrow_mut();
        open.remove(self.key);
        if open.is_empty()
            && let Some(waker) = self.connections.closing.take()
        {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, pending, poll_once};
    use std::pin::pin;

    #[test]
    fn a_draining_connection_may_finish_and_a_closed_connection_may_not() {
        let connections = Connections::default();
        let handle = connections.register(Instant::now());
        assert!(!handle.is_draining());
        connections.drain();
        assert!(handle.is_draining());
        assert!(connections.register(Instant::now()).is_draining(), "a later one too");
        let told = std::cell::Cell::new(false);
        let mut stays = pin!(UntilClosed::new(handle, pending(), || told.set(true)));
        assert!(block_on(poll_once(stays.as_mut())).is_none());
        assert!(!told.get());
        connections.close_all();
        assert!(block_on(poll_once(stays)).is_some());
        assert!(told.get());
    }

    #[test]
    fn the_last_connection_that_ends_wakes_the_listener() {
        let connections = Connections::default();
        let (one, other) = (connections.register(Instant::now()), connections.register(Instant::now()));
        let mut wait = pin!(connections.all_closed());
        assert!(block_on(poll_once(wait.as_mut())).is_none());
        drop(one);
        assert!(block_on(poll_once(wait.as_mut())).is_none());
        drop(other);
        assert!(block_on(poll_once(wait)).is_some());
    }
}
