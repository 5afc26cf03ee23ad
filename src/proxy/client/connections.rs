//! The connections of one door: asked to leave when it drains, and sent away when they do not. A tunnel
//! is sent away when a reload takes its rule.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;
use slab::Slab;

use crate::generation::ListenerSnapshot;
use crate::generation::TunnelContext;
use crate::tls::Admission;

/// How long a connection that is asked to leave waits for a request after its beginning, and after each answer that
/// said that it stays: a client that has read this may be sending already, and a close would lose that request.
const STAYS: Duration = Duration::from_secs(1);

/// The connections of one door.
#[derive(Clone, Default)]
pub(in crate::proxy) struct Connections {
    state: Rc<RefCell<State>>,
}

#[derive(Default)]
struct State {
    entries: Slab<Entry>,
    draining: bool,
    /// Who waits for the last guest to go.
    last: Option<Waker>,
    /// What the last reload gave the door to serve; `None` before the first.
    reloaded: Option<Rc<ListenerSnapshot>>,
}

struct Entry {
    waker: Option<Waker>,
    stage: DrainStage,
    /// What it stands on, and what its client was let in by, once it is a tunnel.
    tunnel: Option<(Rc<TunnelContext>, Admission)>,
}

/// What a guest was told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum DrainStage {
    /// Stay.
    Serving,
    /// Finish what you are at.
    Draining,
    /// Go now.
    Closed,
}

/// One connection's place among them.
pub(in crate::proxy) struct ConnectionHandle {
    state: Rc<RefCell<State>>,
    key: usize,
    /// Bytes of all answers.
    bytes_answered: Cell<u64>,
    stays_until: Cell<Instant>,
}

impl Connections {
    /// A place for a new connection.
    pub(in crate::proxy) fn register(&self, now: Instant) -> ConnectionHandle {
        let mut state = self.state.borrow_mut();
        let stage = if state.draining { DrainStage::Draining } else { DrainStage::Serving };
        let key = state.entries.insert(Entry { waker: None, stage, tunnel: None });
        let (bytes_answered, stays_until) = (Cell::default(), Cell::new(now + STAYS));
        ConnectionHandle { state: self.state.clone(), key, bytes_answered, stays_until }
    }

    /// Tells everyone to finish what they are at, and who comes later too.
    pub(in crate::proxy) fn drain(&self) {
        self.state.borrow_mut().draining = true;
        self.advance(DrainStage::Draining, |_| true);
    }

    /// Ends every connection now.
    pub(in crate::proxy) fn close_all(&self) {
        self.advance(DrainStage::Closed, |_| true);
    }

    /// The door serves `snapshot` from now on. Tunnels whose rule it does not have, or whose client it would not
    /// let in by what was shown, end after its `shutdown_timeout`.
    pub(in crate::proxy) fn reload(&self, snapshot: &Rc<ListenerSnapshot>) {
        let mut state = self.state.borrow_mut();
        state.reloaded = Some(snapshot.clone());
        let mut stays = serves_rule(snapshot);
        let mut is_gone = |entry: &Entry| entry.tunnel.as_ref().is_some_and(|tunnel| !stays(tunnel));
        let gone = state.entries.iter().filter_map(|(key, entry)| is_gone(entry).then_some(key));
        let gone: Vec<usize> = gone.collect();
        drop(state);
        if !gone.is_empty() {
            self.close_after_timeout(snapshot, gone);
        }
    }

    /// Ends these tunnels after the `shutdown_timeout` of `snapshot`, unless their rule is there again. `keys`
    /// are in order.
    fn close_after_timeout(&self, snapshot: &Rc<ListenerSnapshot>, keys: Vec<usize>) {
        let (worker, timeout) = (snapshot.worker().clone(), snapshot.listener().shutdown_timeout);
        let state = Rc::downgrade(&self.state);
        let end = async move {
            worker.sleep(timeout).await;
            let Some(state) = state.upgrade() else { return };
            let Some(snapshot) = state.borrow().reloaded.clone() else { return };
            let mut stays = serves_rule(&snapshot);
            let mut is_gone = |entry: &Entry| entry.tunnel.as_ref().is_some_and(|tunnel| !stays(tunnel));
            let connections = Self { state };
            connections.advance(DrainStage::Closed, |(key, entry)| {
                keys.binary_search(&key).is_ok() && is_gone(entry)
            });
        };
        snapshot.worker().spawn(end).detach();
    }

    /// Waits until nobody is here.
    pub(in crate::proxy) async fn all_closed(&self) {
        poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            if state.entries.is_empty() {
                return Poll::Ready(());
            }
            state.last = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn advance(&self, stage: DrainStage, mut whom: impl FnMut((usize, &Entry)) -> bool) {
        for (key, entry) in &mut self.state.borrow_mut().entries {
            if entry.stage < stage && whom((key, entry)) {
                entry.stage = stage;
                if let Some(waker) = entry.waker.take() {
                    waker.wake();
                }
            }
        }
    }
}

/// Whether `snapshot` lets a tunnel go on. Its rule is compared once, however many tunnels began on it.
fn serves_rule(snapshot: &ListenerSnapshot) -> impl FnMut(&(Rc<TunnelContext>, Admission)) -> bool {
    let mut known: HashMap<(u64, Option<usize>), bool> = HashMap::new();
    move |(context, admission)| {
        *known.entry(context.place).or_insert_with(|| context.is_served_by(snapshot))
            && snapshot.still_admits(admission)
    }
}

impl ConnectionHandle {
    /// Notes that so many bytes of an answer were sent.
    pub(in crate::proxy) fn was_answered(&self, bytes: u64, now: Instant) {
        self.bytes_answered.set(self.bytes_answered.get() + bytes);
        self.stays_until.set(now + STAYS);
    }

    /// Bytes of all answers on this connection.
    pub(in crate::proxy) fn bytes_answered(&self) -> u64 {
        self.bytes_answered.get()
    }

    /// Until when it waits for a request though it was asked to leave.
    pub(in crate::proxy) fn stays_until(&self) -> Instant {
        self.stays_until.get()
    }

    /// Whether it was asked to finish.
    pub(in crate::proxy) fn is_draining(&self) -> bool {
        self.state.borrow().entries[self.key].stage >= DrainStage::Draining
    }

    /// Asks it to finish, and not to wait for another request longer than until `stays_until`.
    pub(in crate::proxy) fn drain(&self, stays_until: Instant) {
        self.stays_until.set(stays_until);
        let mut state = self.state.borrow_mut();
        let entry = &mut state.entries[self.key];
        entry.stage = entry.stage.max(DrainStage::Draining);
        let waker = entry.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Ready when it was asked to finish.
    pub(in crate::proxy) fn poll_draining(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_stage(DrainStage::Draining, cx)
    }

    /// Says that it is a tunnel from now on. Its rule may be gone already: then it is as if it had begun
    /// before.
    pub(in crate::proxy) fn mark_as_tunnel(&self, context: &Rc<TunnelContext>, admission: Admission) {
        let mut state = self.state.borrow_mut();
        let tunnel = (context.clone(), admission);
        let since = |now: &Rc<ListenerSnapshot>| now.generation.number != context.place.0;
        let now = state.reloaded.clone().filter(since);
        let gone = now.filter(|now| !serves_rule(now)(&tunnel));
        state.entries[self.key].tunnel = Some(tunnel);
        drop(state);
        if let Some(now) = gone {
            Connections { state: self.state.clone() }.close_after_timeout(&now, vec![self.key]);
        }
    }

    fn poll_stage(&self, stage: DrainStage, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        let entry = &mut state.entries[self.key];
        if entry.stage >= stage {
            return Poll::Ready(());
        }
        // Both polls of a connection come from its one task, so one place for a waker is enough.
        if !entry.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            entry.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

pin_project! {
    /// What a guest does, and what comes of it; or what `on_closed` says, when the guest is sent away
    /// before it is done.
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
        let mut state = self.state.borrow_mut();
        let entry = state.entries.remove(self.key);
        if state.entries.is_empty()
            && let Some(waker) = state.last.take()
        {
            waker.wake();
        }
        drop(state);
        drop(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, pending, poll_once};
    use std::pin::pin;

    #[test]
    fn who_is_asked_to_leave_may_finish_and_who_is_sent_away_may_not() {
        let connections = Connections::default();
        let handle = Rc::new(connections.register(Instant::now()));
        assert!(!handle.is_draining());
        connections.drain();
        assert!(handle.is_draining());
        assert!(connections.register(Instant::now()).is_draining(), "who comes later too");
        let told = std::cell::Cell::new(false);
        let mut stays = pin!(UntilClosed::new(handle, pending(), || told.set(true)));
        assert!(block_on(poll_once(stays.as_mut())).is_none());
        assert!(!told.get());
        connections.close_all();
        assert!(block_on(poll_once(stays)).is_some());
        assert!(told.get());
    }

    #[test]
    fn the_last_one_out_is_noticed() {
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
