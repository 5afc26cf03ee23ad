//! Deadlines as one task sees them, and against a plain list.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn timers() -> (Rc<Timers>, Instant, Arc<Counter>) {
    let start = Instant::now();
    (Rc::new(Timers::new(start)), start, Arc::new(Counter(AtomicUsize::new(0))))
}

#[test]
fn fires_after_its_deadline_and_never_before() {
    let (timers, start, count) = timers();
    let waker = Waker::from(count.clone());
    let timer = Timer::new(&timers);
    timer.arm(Duration::from_millis(100));
    assert!(timer.poll_expired(&mut Context::from_waker(&waker)).is_pending());
    timers.fire(start + Duration::from_millis(99));
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    assert!(timer.poll_expired(&mut Context::from_waker(&waker)).is_pending());
    timers.fire(start + Duration::from_millis(100) + 2 * TICK);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert!(timer.poll_expired(&mut Context::from_waker(&waker)).is_ready());
}

#[test]
fn a_deadline_that_moves_later_queues_nothing_until_its_old_entry_comes_up() {
    let (timers, start, count) = timers();
    let waker = Waker::from(count.clone());
    let timer = Timer::new(&timers);
    for _ in 0..10_000 {
        timer.arm(Duration::from_secs(1));
        timer.disarm();
        timer.arm(Duration::from_secs(60));
        assert!(timer.poll_expired(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(timers.state.borrow().queue.len(), 1);
    timers.fire(start + Duration::from_secs(2));
    assert_eq!(count.0.load(Ordering::Relaxed), 0, "the old entry finds the slot not due");
    assert!(timers.next(start).is_some_and(|wait| wait > Duration::from_secs(59)));
    timers.fire(start + Duration::from_secs(61));
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

#[test]
fn a_deadline_that_moves_earlier_is_kept() {
    let (timers, start, count) = timers();
    let waker = Waker::from(count.clone());
    let timer = Timer::new(&timers);
    timer.arm(Duration::from_secs(60));
    timer.arm(Duration::from_secs(1));
    assert!(timer.poll_expired(&mut Context::from_waker(&waker)).is_pending());
    timers.fire(start + Duration::from_secs(2));
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

#[test]
fn dropped_timers_do_not_pile_up_and_their_keys_are_not_confused() {
    let (timers, start, count) = timers();
    let waker = Waker::from(count.clone());
    for _ in 0..100_000 {
        Timer::new(&timers).arm(Duration::from_secs(60));
    }
    assert!(timers.state.borrow().queue.len() <= 66);
    let timer = Timer::new(&timers);
    assert!(timer.poll_expired(&mut Context::from_waker(&waker)).is_pending());
    timers.fire(start + Duration::from_secs(100));
    assert_eq!(count.0.load(Ordering::Relaxed), 0, "the new user of a key is not woken for the old one");
}

#[test]
fn deadlines_of_any_length_are_kept() {
    let (timers, start, count) = timers();
    let waker = Waker::from(count.clone());
    let mut cx = Context::from_waker(&waker);
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    let timer = Timer::new(&timers);
    for (after, wait) in [(Duration::ZERO, TICK), (year, year), (100 * year, 100 * year)] {
        timer.arm(after);
        assert!(timer.poll_expired(&mut cx).is_pending());
        let next = timers.next(start).unwrap();
        assert!(next >= wait && next <= wait + 2 * TICK, "{after:?} waits {next:?}");
        timer.disarm();
        timers.fire(start + 200 * year);
        timers.fire(start);
    }
    for never in [Duration::MAX, Duration::from_millis(u64::MAX), Duration::from_secs(u64::MAX / 1000)] {
        timer.arm(never);
        assert!(timer.poll_expired(&mut cx).is_pending());
        assert!(timers.next(start).is_none_or(|wait| wait > 1000 * year), "{never:?}");
    }
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
}

/// The wait in the kernel must not become a busy loop when the ticks exceed 32 bits.
#[test]
fn a_worker_that_has_run_for_years_still_waits() {
    let (timers, start, count) = timers();
    let waker = Waker::from(count.clone());
    let now = start + Duration::from_secs(5 * 365 * 24 * 60 * 60);
    timers.fire(now);
    let timer = Timer::new(&timers);
    timer.arm(Duration::from_secs(60));
    assert!(timer.poll_expired(&mut Context::from_waker(&waker)).is_pending());
    assert!(timers.next(now).is_some_and(|wait| wait >= Duration::from_secs(60)));
    timers.fire(now + Duration::from_secs(59));
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    timers.fire(now + Duration::from_secs(61));
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

/// A waker may be the last reference to a future that owns timers, as in a set of futures.
#[test]
fn a_waker_may_own_timers() {
    thread_local!(static OWNED: RefCell<Option<Timer>> = const { RefCell::new(None) });
    struct Owner;
    impl Wake for Owner {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Owner {
        fn drop(&mut self) {
            drop(OWNED.take());
        }
    }
    let (timers, start, _) = timers();
    let timer = Timer::new(&timers);
    timer.arm(Duration::from_secs(1));
    let wait_with = |waker: Waker| {
        OWNED.set(Some(Timer::new(&timers)));
        assert!(timer.poll_expired(&mut Context::from_waker(&waker)).is_pending());
    };
    wait_with(Arc::new(Owner).into());
    assert!(timer.poll_expired(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(timers.state.borrow().slots.len(), 1, "dropped for another waker");
    wait_with(Arc::new(Owner).into());
    timers.fire(start + Duration::from_secs(2));
    assert_eq!(timers.state.borrow().slots.len(), 1, "dropped when woken");
}

/// A timer, with the state that it should have and the wakes that were seen.
struct Modelled {
    timer: Timer,
    deadline: Option<u64>,
    waits: bool,
    count: Arc<Counter>,
}

impl Modelled {
    fn new(timers: &Rc<Timers>) -> Self {
        let count = Arc::new(Counter(AtomicUsize::new(0)));
        Self { timer: Timer::new(timers), deadline: None, waits: false, count }
    }

    fn check(&mut self, now: u64) {
        let waker = Waker::from(self.count.clone());
        let woken = self.count.0.swap(0, Ordering::Relaxed) > 0;
        let ready = self.timer.poll_expired(&mut Context::from_waker(&waker)).is_ready();
        match self.deadline {
            Some(deadline) if now <= deadline => assert!(!ready, "early"),
            Some(deadline) if now > deadline + 2 * TICK_MILLISECONDS => assert!(ready, "late"),
            Some(_) => {}
            None => assert!(!ready && !woken, "disarmed"),
        }
        assert!(woken || !self.waits || !ready, "ready, and who waited was not woken");
        self.waits = !ready;
    }
}

proptest::proptest! {
    /// Compares any mix of arming, disarming, dropping and time with a plain list of deadlines.
    #[test]
    fn timers_are_as_their_model(
        steps in proptest::collection::vec((0..5_u8, 0..6_usize, 0..2000_u64), 1..200)
    ) {
        let (timers, start, _) = timers();
        let mut now = 0;
        let mut all: Vec<_> = (0..6).map(|_| Modelled::new(&timers)).collect();
        for (step, which, amount) in steps {
            let one = &mut all[which];
            match step {
                0 | 1 => {
                    one.timer.arm(Duration::from_millis(amount));
                    one.deadline = Some(now + amount);
                }
                2 => {
                    one.timer.disarm();
                    one.deadline = None;
                }
                3 => *one = Modelled::new(&timers),
                _ => {
                    now += amount;
                    timers.fire(start + Duration::from_millis(now));
                }
            }
            if let Some(next) = all.iter().filter_map(|one| one.deadline).filter(|at| *at >= now).min() {
                let wait = timers.next(start + Duration::from_millis(now)).unwrap();
                assert!(wait <= Duration::from_millis(next - now) + 2 * TICK);
            }
            all.iter_mut().for_each(|one| one.check(now));
        }
    }
}
