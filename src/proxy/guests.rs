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

use super::ground::Ground;
use super::site::Site;
use crate::tls::Admission;

/// How long a connection that is asked to leave waits for a request after its beginning, and after each answer that
/// said that it stays: a client that has read this may be sending already, and a close would lose that request.
const STAYS: Duration = Duration::from_secs(1);

/// The connections of one door.
#[derive(Clone, Default)]
pub(super) struct Guests {
    state: Rc<RefCell<State>>,
}

#[derive(Default)]
struct State {
    seats: Slab<Seat>,
    draining: bool,
    /// Who waits for the last guest to go.
    last: Option<Waker>,
    /// What the last reload gave the door to serve; `None` before the first.
    reloaded: Option<Rc<Site>>,
}

struct Seat {
    waker: Option<Waker>,
    notice: Notice,
    /// What it stands on, and what its client was let in by, once it is a tunnel.
    tunnel: Option<(Rc<Ground>, Admission)>,
}

/// What a guest was told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Notice {
    /// Stay.
    None,
    /// Finish what you are at.
    Leave,
    /// Go now.
    Gone,
}

/// One connection's place among them.
pub(super) struct Guest {
    state: Rc<RefCell<State>>,
    key: usize,
    /// Bytes of all answers.
    bytes_answered: Cell<u64>,
    stays_until: Cell<Instant>,
}

impl Guests {
    /// A place for a new connection.
    pub(super) fn enter(&self, now: Instant) -> Guest {
        let mut state = self.state.borrow_mut();
        let notice = if state.draining { Notice::Leave } else { Notice::None };
        let key = state.seats.insert(Seat { waker: None, notice, tunnel: None });
        let (bytes_answered, stays_until) = (Cell::default(), Cell::new(now + STAYS));
        Guest { state: self.state.clone(), key, bytes_answered, stays_until }
    }

    /// Tells everyone to finish what they are at, and who comes later too.
    pub(super) fn ask_to_leave(&self) {
        self.state.borrow_mut().draining = true;
        self.tell(Notice::Leave, |_| true);
    }

    /// Ends every connection now.
    pub(super) fn send_away(&self) {
        self.tell(Notice::Gone, |_| true);
    }

    /// The door serves `site` from now on. Tunnels whose rule it does not have, or whose client it would not
    /// let in by what was shown, end after its `shutdown_timeout`.
    pub(super) fn reload(&self, site: &Rc<Site>) {
        let mut state = self.state.borrow_mut();
        state.reloaded = Some(site.clone());
        let mut stays = keeps(site);
        let mut is_gone = |seat: &Seat| seat.tunnel.as_ref().is_some_and(|tunnel| !stays(tunnel));
        let gone = state.seats.iter().filter_map(|(key, seat)| is_gone(seat).then_some(key));
        let gone: Vec<usize> = gone.collect();
        drop(state);
        if !gone.is_empty() {
            self.end_later(site, gone);
        }
    }

    /// Ends these tunnels after the `shutdown_timeout` of `site`, unless their rule is there again. `keys`
    /// are in order.
    fn end_later(&self, site: &Rc<Site>, keys: Vec<usize>) {
        let (worker, patience) = (site.worker().clone(), site.listener().shutdown_timeout);
        let state = Rc::downgrade(&self.state);
        let end = async move {
            worker.sleep(patience).await;
            let Some(state) = state.upgrade() else { return };
            let Some(site) = state.borrow().reloaded.clone() else { return };
            let mut stays = keeps(&site);
            let mut is_gone = |seat: &Seat| seat.tunnel.as_ref().is_some_and(|tunnel| !stays(tunnel));
            let guests = Self { state };
            guests.tell(Notice::Gone, |(key, seat)| keys.binary_search(&key).is_ok() && is_gone(seat));
        };
        site.worker().spawn(end).detach();
    }

    /// Waits until nobody is here.
    pub(super) async fn all_gone(&self) {
        poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            if state.seats.is_empty() {
                return Poll::Ready(());
            }
            state.last = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn tell(&self, notice: Notice, mut whom: impl FnMut((usize, &Seat)) -> bool) {
        for (key, seat) in &mut self.state.borrow_mut().seats {
            if seat.notice < notice && whom((key, seat)) {
                seat.notice = notice;
                if let Some(waker) = seat.waker.take() {
                    waker.wake();
                }
            }
        }
    }
}

/// Whether `site` lets a tunnel go on. Its rule is compared once, however many tunnels began on it.
fn keeps(site: &Site) -> impl FnMut(&(Rc<Ground>, Admission)) -> bool {
    let mut known: HashMap<(u64, Option<usize>), bool> = HashMap::new();
    move |(ground, admission)| {
        *known.entry(ground.place).or_insert_with(|| site.still_has(ground)) && site.still_admits(admission)
    }
}

impl Guest {
    /// Notes that so many bytes of an answer were sent.
    pub(super) fn was_answered(&self, bytes: u64, now: Instant) {
        self.bytes_answered.set(self.bytes_answered.get() + bytes);
        self.stays_until.set(now + STAYS);
    }

    /// Bytes of all answers on this connection.
    pub(super) fn bytes_answered(&self) -> u64 {
        self.bytes_answered.get()
    }

    /// Until when it waits for a request though it was asked to leave.
    pub(super) fn stays_until(&self) -> Instant {
        self.stays_until.get()
    }

    /// Whether it was asked to finish.
    pub(super) fn is_asked_to_leave(&self) -> bool {
        self.state.borrow().seats[self.key].notice >= Notice::Leave
    }

    /// Asks it to finish, and not to wait for another request longer than until `stays_until`.
    pub(super) fn ask_to_leave(&self, stays_until: Instant) {
        self.stays_until.set(stays_until);
        let mut state = self.state.borrow_mut();
        let seat = &mut state.seats[self.key];
        seat.notice = seat.notice.max(Notice::Leave);
        let waker = seat.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Ready when it was asked to finish.
    pub(super) fn poll_asked_to_leave(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_notice(Notice::Leave, cx)
    }

    /// Says that it is a tunnel from now on. Its rule may be gone already: then it is as if it had begun
    /// before.
    pub(super) fn is_tunnel(&self, ground: &Rc<Ground>, admission: Admission) {
        let mut state = self.state.borrow_mut();
        let tunnel = (ground.clone(), admission);
        let since = |now: &Rc<Site>| now.generation.number != ground.place.0;
        let now = state.reloaded.clone().filter(since);
        let gone = now.filter(|now| !keeps(now)(&tunnel));
        state.seats[self.key].tunnel = Some(tunnel);
        drop(state);
        if let Some(now) = gone {
            Guests { state: self.state.clone() }.end_later(&now, vec![self.key]);
        }
    }

    fn poll_notice(&self, notice: Notice, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        let seat = &mut state.seats[self.key];
        if seat.notice >= notice {
            return Poll::Ready(());
        }
        // Both polls of a connection come from its one task, so one place for a waker is enough.
        if !seat.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            seat.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

pin_project! {
    /// What a guest does, and what comes of it; or what `on_gone` says, when the guest is sent away
    /// before it is done.
    pub(super) struct UnlessSentAway<F, G> {
        guest: Rc<Guest>,
        #[pin]
        stay: F,
        on_gone: G,
    }
}

impl<F: Future, G: Fn() -> F::Output> UnlessSentAway<F, G> {
    pub(super) fn new(guest: Rc<Guest>, stay: F, on_gone: G) -> Self {
        Self { guest, stay, on_gone }
    }
}

impl<F: Future, G: Fn() -> F::Output> Future for UnlessSentAway<F, G> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        match this.guest.poll_notice(Notice::Gone, cx) {
            Poll::Ready(()) => Poll::Ready((this.on_gone)()),
            Poll::Pending => this.stay.poll(cx),
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut state = self.state.borrow_mut();
        let seat = state.seats.remove(self.key);
        if state.seats.is_empty()
            && let Some(waker) = state.last.take()
        {
            waker.wake();
        }
        drop(state);
        drop(seat);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, pending, poll_once};
    use std::pin::pin;

    #[test]
    fn who_is_asked_to_leave_may_finish_and_who_is_sent_away_may_not() {
        let guests = Guests::default();
        let guest = Rc::new(guests.enter(Instant::now()));
        assert!(!guest.is_asked_to_leave());
        guests.ask_to_leave();
        assert!(guest.is_asked_to_leave());
        assert!(guests.enter(Instant::now()).is_asked_to_leave(), "who comes later too");
        let told = std::cell::Cell::new(false);
        let mut stays = pin!(UnlessSentAway::new(guest, pending(), || told.set(true)));
        assert!(block_on(poll_once(stays.as_mut())).is_none());
        assert!(!told.get());
        guests.send_away();
        assert!(block_on(poll_once(stays)).is_some());
        assert!(told.get());
    }

    #[test]
    fn the_last_one_out_is_noticed() {
        let guests = Guests::default();
        let (one, other) = (guests.enter(Instant::now()), guests.enter(Instant::now()));
        let mut wait = pin!(guests.all_gone());
        assert!(block_on(poll_once(wait.as_mut())).is_none());
        drop(one);
        assert!(block_on(poll_once(wait.as_mut())).is_none());
        drop(other);
        assert!(block_on(poll_once(wait)).is_some());
    }
}
