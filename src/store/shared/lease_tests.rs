//! Tests of the lease, with a clock of their own.

use proptest::prelude::*;

use super::*;
use crate::config::plan::Secret;
use crate::store::shared::memory::Memory;
use crate::store::shared::seal::Seal;

const TIME: Duration = Duration::from_secs(60);

fn store(memory: &Memory) -> Sealed {
    let seal = Seal::new(&[Secret("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into())]).unwrap();
    Sealed { values: Box::new(memory.clone()), seal }
}

fn lease(own: &str) -> Lease {
    Lease::new("ca/lease".to_owned(), own.to_owned(), TIME)
}

/// The time `seconds` after a fixed one.
fn clock(start: Instant, seconds: u64) -> impl Fn() -> Instant {
    move || start + Duration::from_secs(seconds)
}

#[test]
fn one_gate_holds_it_and_another_waits_until_it_is_gone() {
    let (start, memory) = (Instant::now(), Memory::default());
    let (store, one, two) = (store(&memory), lease("one"), lease("two"));
    assert!(one.step(&store, clock(start, 0)).unwrap());
    assert!(!two.step(&store, clock(start, 0)).unwrap());
    assert_eq!((one.holder(), two.holder().as_deref()), (None, Some("one")));
    // As long as it is renewed, it stays.
    for seconds in (20..600).step_by(20) {
        assert!(one.step(&store, clock(start, seconds)).unwrap());
        assert!(!two.step(&store, clock(start, seconds)).unwrap());
    }
    assert!(
        one.is_held(start + Duration::from_secs(580 + 39))
            && !one.is_held(start + Duration::from_secs(580 + 40))
    );
    for seconds in [600, 640, 659] {
        assert!(!two.step(&store, clock(start, seconds)).unwrap(), "{seconds}");
    }
    // It was seen last at 580.
    assert!(two.step(&store, clock(start, 660)).unwrap());
    // The first one wakes up. It learns that it has lost the lease by its next write.
    assert!(!one.is_held(start + Duration::from_secs(661)) && !one.is_lost());
    assert!(!one.step(&store, clock(start, 661)).unwrap());
    assert!(one.is_lost() && two.is_held(start + Duration::from_secs(661)));
}

#[test]
fn a_lease_that_is_given_back_is_free_at_once() {
    let (start, memory) = (Instant::now(), Memory::default());
    let (store, one, two) = (store(&memory), lease("one"), lease("two"));
    assert!(one.step(&store, clock(start, 0)).unwrap());
    one.give_back(&store).unwrap();
    assert!(!one.is_held(start));
    assert!(two.step(&store, clock(start, 0)).unwrap());
    one.give_back(&store).unwrap();
    assert!(two.step(&store, clock(start, 1)).unwrap(), "a gate gives back its own lease only");
}

#[test]
fn a_silent_server_takes_nothing_from_its_holder() {
    let (start, memory) = (Instant::now(), Memory::default());
    let (store, one, two) = (store(&memory), lease("one"), lease("two"));
    assert!(one.step(&store, clock(start, 0)).unwrap());
    assert!(!two.step(&store, clock(start, 0)).unwrap());
    memory.silence(true);
    for seconds in (20..200).step_by(20) {
        assert!(one.step(&store, clock(start, seconds)).is_err());
        assert!(two.step(&store, clock(start, seconds)).is_err());
    }
    assert!(!one.is_lost() && !one.is_held(start + Duration::from_secs(200)));
    memory.silence(false);
    // The other gate could not see the holder all that time, so it looks anew.
    assert!(!two.step(&store, clock(start, 200)).unwrap());
    assert!(one.step(&store, clock(start, 201)).unwrap());
    assert!(!two.step(&store, clock(start, 279)).unwrap());
}

#[test]
fn a_write_whose_answer_was_lost_is_known_again() {
    let (start, memory) = (Instant::now(), Memory::default());
    let (store, one) = (store(&memory), lease("one"));
    memory.lose_answer();
    assert!(one.step(&store, clock(start, 0)).is_err());
    assert!(one.step(&store, clock(start, 1)).unwrap());
    memory.lose_answer();
    assert!(one.step(&store, clock(start, 20)).is_err());
    assert!(one.step(&store, clock(start, 21)).unwrap(), "its own record is not that of another gate");
}

#[test]
fn a_broken_record_is_replaced() {
    let (start, memory) = (Instant::now(), Memory::default());
    let (store, one) = (store(&memory), lease("one"));
    let _ = store.put("ca/lease", b"{", Expect::Absent).unwrap();
    assert!(one.step(&store, clock(start, 0)).unwrap());
}

/// An event of the test below.
#[derive(Clone, Debug)]
enum Event {
    /// A gate takes a step.
    Step(usize),
    /// Seconds go by.
    Wait(u64),
    /// The server falls silent, or speaks again.
    Silence(bool),
    /// The next answer to a write is lost.
    Lose,
    GiveBack(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..3_usize).prop_map(Event::Step),
        3 => (1..90_u64).prop_map(Event::Wait),
        1 => any::<bool>().prop_map(Event::Silence),
        1 => Just(Event::Lose),
        1 => (0..3_usize).prop_map(Event::GiveBack),
    ]
}

proptest! {
    /// At no time two gates believe that they hold the lease, whatever happens.
    #[test]
    fn two_gates_never_hold_it_at_once(events in proptest::collection::vec(event(), 1..120)) {
        let (start, memory) = (Instant::now(), Memory::default());
        let store = store(&memory);
        let gates = ["a", "b", "c"].map(lease);
        let mut seconds = 0;
        for event in events {
            match event {
                Event::Step(gate) => drop(gates[gate].step(&store, clock(start, seconds))),
                Event::Wait(more) => seconds += more,
                Event::Silence(is_silent) => memory.silence(is_silent),
                Event::Lose => memory.lose_answer(),
                Event::GiveBack(gate) => drop(gates[gate].give_back(&store)),
            }
            let now = clock(start, seconds)();
            let holders = gates.iter().filter(|gate| gate.is_held(now)).count();
            prop_assert!(holders <= 1, "{holders} gates hold it");
        }
    }
}
