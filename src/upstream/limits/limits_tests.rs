//! Tests of limits and of the line: no place is given twice, none is forgotten, and the first comes first.

use std::sync::atomic::AtomicBool;
use std::task::Wake;

use futures_lite::future::block_on;
use proptest::prelude::*;

use super::*;

/// A task that is polled only after it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// A request that waits in a model.
struct Waiting {
    ticket: Ticket,
    woken: Arc<Woken>,
}

/// Limits, one endpoint, and requests that have a place or wait for one.
struct Model {
    limits: Arc<Limits>,
    state: Arc<EndpointState>,
    open: u32,
    waiting: Vec<Waiting>,
    most: u32,
}

impl Model {
    fn new(most: u32) -> Self {
        let limits = Arc::new(Limits::new());
        limits.set(Some(most), None);
        Self { limits, state: Arc::default(), open: 0, waiting: Vec::new(), most }
    }

    /// A request comes: it takes a place, or waits.
    fn begin(&mut self) {
        if !self.limits.have_waiting() && self.limits.begin_request(&self.state) {
            self.open += 1;
            return;
        }
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        self.waiting.push(Waiting { ticket: self.limits.join(100, None).unwrap(), woken });
    }

    fn end(&mut self) {
        if self.open > 0 {
            self.open -= 1;
            self.limits.end_request(&self.state);
        }
    }

    fn leave(&mut self, index: usize) {
        if !self.waiting.is_empty() {
            self.waiting.remove(index % self.waiting.len());
        }
    }

    /// A request lost its place, and waits where it did before.
    fn lose(&mut self, index: usize) {
        if !self.waiting.is_empty() {
            let at = index % self.waiting.len();
            let number = self.waiting.remove(at).ticket.number();
            let woken = Arc::new(Woken(AtomicBool::new(true)));
            let ticket = self.limits.join(0, Some(number)).unwrap();
            self.waiting.insert(at, Waiting { ticket, woken });
        }
    }

    /// Polls tasks that were woken, until none is.
    fn run(&mut self) {
        while let Some(at) = self.waiting.iter().position(|one| one.woken.0.swap(false, SeqCst)) {
            let one = &self.waiting[at];
            let waker = Waker::from(one.woken.clone());
            let take = || self.limits.begin_request(&self.state).then_some(());
            if one.ticket.poll(&mut Context::from_waker(&waker), take).is_ready() {
                assert_eq!(at, 0, "the first of the line comes first");
                self.open += 1;
                self.waiting.remove(at);
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    End,
    Leave(usize),
    Lose(usize),
    Set(u32),
    Run,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Begin),
        3 => Just(Step::End),
        1 => (0..9usize).prop_map(Step::Leave),
        1 => (0..9usize).prop_map(Step::Lose),
        1 => (1..5u32).prop_map(Step::Set),
        2 => Just(Step::Run),
    ]
}

proptest! {
    #[test]
    fn no_place_is_forgotten_and_none_is_given_twice(steps in prop::collection::vec(step(), 1..200)) {
        let mut model = Model::new(2);
        for step in steps {
            let before = model.open;
            match step {
                Step::Begin => model.begin(),
                Step::End => model.end(),
                Step::Leave(index) => model.leave(index),
                Step::Lose(index) => model.lose(index),
                Step::Set(most) => {
                    model.most = most;
                    model.limits.set(Some(most), None);
                }
                Step::Run => model.run(),
            }
            prop_assert!(model.open <= model.most.max(before));
            prop_assert_eq!(model.state.open(), model.open);
        }
        model.run();
        prop_assert!(model.waiting.is_empty() || model.open >= model.most, "a place is free, and a request waits");
        while model.open > 0 || !model.waiting.is_empty() {
            model.end();
            model.run();
        }
        prop_assert_eq!(model.limits.waiting.load(SeqCst), 0);
        prop_assert!(model.limits.lock().waiting.is_empty());
    }
}

#[test]
fn threads_that_wait_for_one_place_all_get_it() {
    let (limits, state) = (Arc::new(Limits::new()), Arc::<EndpointState>::default());
    limits.set(Some(1), None);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (limits, state) = (&limits, &state);
            scope.spawn(move || {
                for _ in 0..500 {
                    let ticket = limits.join(100, None).unwrap();
                    let take = || limits.begin_request(state).then_some(());
                    block_on(std::future::poll_fn(|cx| ticket.poll(cx, take)));
                    drop(ticket);
                    assert_eq!(state.open(), 1);
                    limits.end_request(state);
                }
            });
        }
    });
    assert_eq!((state.open(), limits.waiting.load(SeqCst)), (0, 0));
}

#[test]
fn the_line_has_an_end_and_a_place_in_it_is_kept() {
    let limits = Arc::new(Limits::new());
    assert!(limits.join(0, None).is_none());
    let first = limits.join(1, None).unwrap();
    assert!(limits.join(1, None).is_none() && limits.have_waiting());
    let number = first.number();
    drop(first);
    assert!(!limits.have_waiting());
    let second = limits.join(1, None).unwrap();
    let first = limits.join(1, Some(number)).unwrap();
    let waker = Waker::noop();
    let mut cx = Context::from_waker(waker);
    assert!(second.poll(&mut cx, || Some(())).is_pending() && first.poll(&mut cx, || Some(())).is_ready());
}

#[test]
fn connections_without_a_request_could_make_room() {
    let (limits, state) = (Arc::new(Limits::new()), Arc::<EndpointState>::default());
    limits.set(Some(2), Some(3));
    let connections: Vec<_> = (0..3).map_while(|_| limits.begin_connection(&state)).collect();
    assert_eq!((connections.len(), limits.idle(&state)), (3, 3));
    assert!(limits.begin_request(&state));
    assert_eq!(limits.idle(&state), 2);
    assert!(limits.begin_request(&state));
    assert_eq!(limits.idle(&state), 0, "it may have no more requests");
}

#[test]
fn connections_are_counted_until_they_are_closed() {
    let (limits, state) = (Arc::new(Limits::new()), Arc::<EndpointState>::default());
    limits.set(None, Some(1));
    let first = limits.begin_connection(&state).unwrap();
    assert!(limits.begin_connection(&state).is_none());
    assert!(limits.have_room(&state, || true) && !limits.have_room(&state, || false));
    assert!(!first.is_wanted(), "no request waits");
    let ticket = limits.join(1, None).unwrap();
    assert!(first.is_wanted());
    drop((first, ticket));
    assert!(limits.begin_connection(&state).is_some());
}
