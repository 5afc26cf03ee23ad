//! Tests of the record of attempts.

use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_800_000_000;

fn name_failure() -> Failure {
    Failure::of_name("no")
}

#[test]
fn failures_of_a_name_wait_longer_each_time() {
    let mut record = Record::default();
    let mut waits = Vec::new();
    for _ in 0..6 {
        record.begin(NOW, 0.0);
        assert_eq!(record.earliest(NOW, false), record.not_before, "the wait is known before the order");
        record.fail(NOW, &name_failure(), false, 0.0);
        waits.push(record.earliest(NOW, false) - NOW);
    }
    assert_eq!(waits, [60, 600, 6000, DAY, DAY, DAY]);
    record.fail(NOW, &name_failure(), true, 1.0);
    assert_eq!(record.earliest(NOW, false) - NOW, EXPIRING_WAIT_MAX);
    assert_eq!(record.earliest(NOW, true), NOW + HOUR, "an operator does not go beyond the limit either");
    record = Record::read(Some(&record.bytes()), NOW + HOUR);
    assert_eq!(record.earliest(NOW + HOUR, true), NOW + HOUR);
    record.begin(NOW, 0.0);
    record.succeed(NOW);
    assert_eq!((record.failures, record.reason, record.issued), (0, None, vec![NOW]));
}

#[test]
fn faults_of_the_ca_are_not_those_of_the_name() {
    let mut record = Record::default();
    let mut waits = Vec::new();
    for _ in 0..9 {
        record.begin(NOW, 0.0);
        record.order = Some("https://ca/1".into());
        record.fail(NOW, &Failure::of_ca("503"), false, 0.0);
        waits.push(record.earliest(NOW, false) - NOW);
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 900, 900]);
    assert_eq!((record.failures, record.order.as_deref()), (0, Some("https://ca/1")));
}

#[test]
fn a_wait_that_the_ca_asks_for_counts() {
    let mut record = Record::default();
    record.begin(NOW, 0.0);
    let failure = Failure { retry_after: Some(Duration::from_secs(7 * DAY)), ..name_failure() };
    record.fail(NOW, &failure, true, 0.0);
    assert_eq!(record.earliest(NOW, false) - NOW, 7 * DAY);
}

#[test]
fn an_order_that_was_cut_off_goes_on_at_once_and_one_that_is_unknown_does_not() {
    let mut record = Record::default();
    record.begin(NOW, 0.0);
    let unknown = Record::read(Some(&record.bytes()), NOW);
    assert_eq!(unknown.earliest(NOW, false), NOW + 60);
    record.order = Some("https://ca/1".into());
    let mut known = Record::read(Some(&record.bytes()), NOW);
    for _ in 0..100 {
        assert_eq!(known.earliest(NOW, false), NOW);
        known.begin(NOW, 0.0);
        assert_eq!(known.failures, 1);
        known = Record::read(Some(&known.bytes()), NOW);
    }
}

#[test]
fn a_broken_record_is_a_failure_and_a_clock_that_went_back_blocks_no_name_for_ever() {
    let broken = Record::read(Some(b"}}"), NOW);
    assert_eq!((broken.failures, broken.earliest(NOW, false)), (1, NOW + 60));
    let mut record = Record::default();
    record.begin(NOW, 0.0);
    let earlier = Record::read(Some(&record.bytes()), NOW - 1000 * DAY);
    assert_eq!(earlier.earliest(NOW - 1000 * DAY, false), NOW - 992 * DAY);
    assert_eq!(Record::read(None, NOW), Record::default());
}

#[test]
fn renewal_comes_after_two_thirds_of_the_life() {
    let day = DAY.cast_signed();
    assert_eq!(renewal(0, 90 * day, 0.0), 60 * DAY);
    assert_eq!(renewal(0, 90 * day, 1.0), 60 * DAY - 9 * DAY / 2);
    assert_eq!(renewal(0, 6 * day, 0.0), 3 * DAY);
    assert!(!is_expiring(0, 90 * day, 60 * DAY) && is_expiring(0, 90 * day, 70 * DAY));
}

#[test]
fn a_name_that_failed_is_tried_at_the_test_system_until_that_works() {
    let mut record = Record::default();
    assert!(!record.choose_rehearsal(true, false), "the first order is a real one");
    record.begin(NOW, 0.0);
    record.fail(NOW, &name_failure(), false, 0.0);
    assert!(!record.clone().choose_rehearsal(false, false), "there is no test system");
    assert!(!record.clone().choose_rehearsal(true, true), "an operator asks for a real one");
    for failures in 2..5 {
        assert!(record.choose_rehearsal(true, false));
        record.begin(NOW, 0.0);
        record.fail(NOW, &name_failure(), false, 0.0);
        assert_eq!((record.failures, record.tried.len()), (failures, 1), "it is no order of the CA");
    }
    assert!(record.choose_rehearsal(true, false));
    record.begin(NOW, 0.0);
    record.order = Some("https://staging/1".into());
    let mut cut_off = Record::read(Some(&record.bytes()), NOW);
    assert!(cut_off.choose_rehearsal(true, true), "an order goes on where it is");
    assert!(!cut_off.choose_rehearsal(false, false) && cut_off.order.is_none(), "or is given up");
    record.rehearsed(NOW, true);
    assert_eq!((record.earliest(NOW, false), record.failures), (NOW, 4));
    assert!(!record.choose_rehearsal(true, false), "the next one is real");
    record.begin(NOW, 0.0);
    record.fail(NOW, &name_failure(), false, 0.0);
    assert!(record.choose_rehearsal(true, false), "and so on");
    record.begin(NOW, 0.0);
    record.rehearsed(NOW, false);
    assert_eq!(record.earliest(NOW, false), NOW + DAY, "a test system in trouble shortens no wait");
    assert!(!record.choose_rehearsal(true, false));
}

#[test]
fn a_name_in_doubt_is_tried_at_the_test_system_and_at_the_ca_if_there_is_none() {
    let mut record = Record { is_doubted: true, ..Record::default() };
    assert!(record.clone().choose_rehearsal(true, false) && !record.is_new_and_real(true, false));
    assert!(!record.clone().choose_rehearsal(true, true), "an operator asks for a real one");
    assert!(record.is_new_and_real(false, false), "a doubt forbids no order");
    assert!(record.choose_rehearsal(true, false));
    record.begin(NOW, 0.0);
    record.rehearsed(NOW, true);
    assert!(!record.choose_rehearsal(true, false) && record.earliest(NOW, false) == NOW);
    assert!(!Record::read(Some(&record.bytes()), NOW).is_doubted, "a doubt outlives no restart");
}

#[test]
fn the_next_ca_is_asked_after_two_failures_of_one_or_if_it_turns_the_name_away() {
    let mut record = Record::default();
    for is_out in [false, true] {
        record.begin(NOW, 0.0);
        record.fail(NOW, &Failure::of_ca("503"), false, 0.0);
        assert_eq!(record.is_out(), is_out);
    }
    let mut record = Record::default();
    record.begin(NOW, 0.0);
    record.fail(NOW, &name_failure(), false, 0.0);
    assert!(!record.is_out(), "another would fail too");
    record.begin(NOW, 0.0);
    record.fail(NOW, &Failure { is_of_this_ca: true, ..name_failure() }, false, 0.0);
    assert!(record.is_out());
    record.begin(NOW, 0.0);
    assert!(!record.is_out(), "it has another chance");
    (0..20).for_each(|at| record.note(Attempt { at, ca: "ca".into(), staging: false, reason: None }));
    assert_eq!((record.history.len(), record.history[0].at), (10, 10));
}

#[test]
fn a_window_counts_for_its_certificate_and_ends_before_the_certificate() {
    let window = Window { id: "a".into(), start: 10, end: 20, look: 5 };
    let record = Record { window: Some(window), ..Record::default() };
    let record = Record::read(Some(&record.bytes()), NOW);
    assert_eq!(
        (record.window_of("a").map(|window| window.time(0.5)), record.window_of("b")),
        (Some(15), None)
    );
    assert_eq!(latest_renewal(0, 1000), 900);
}

#[test]
fn an_account_has_a_budget_of_orders() {
    let mut orders = Orders::default();
    for _ in 0..ORDERS_MAX {
        orders = Orders::read(Some(&orders.take(NOW).unwrap()));
    }
    assert_eq!(orders.take(NOW + 1), Err(NOW + ORDERS_TIME));
    assert!(orders.take(NOW + ORDERS_TIME).is_ok());
}

/// The outcome of an attempt.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// The gate ends before the CA has answered.
    CrashBefore,
    /// The gate ends after the order is known.
    CrashAfter,
    Issued,
    Refused,
    CaFailed,
}

/// An event in the life of a name.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// An attempt, if the record allows one. The flag: an operator asks for it.
    Attempt(Outcome, bool),
    /// Time passes.
    Wait(u64),
    /// The clock of the gate is set back.
    SetBack(u64),
    /// The clock of the gate is set forward.
    SetForward(u64),
}

fn event() -> impl Strategy<Value = Event> {
    use Outcome::{CaFailed, CrashAfter, CrashBefore, Issued, Refused};
    let outcomes = [CrashBefore, CrashAfter, Issued, Refused, CaFailed].map(Just);
    let [a, b, c, d, e] = outcomes;
    let outcome = prop_oneof![a, b, c, d, e];
    prop_oneof![
        8 => (outcome, any::<bool>()).prop_map(|(outcome, forced)| Event::Attempt(outcome, forced)),
        2 => prop_oneof![0..2 * HOUR, 0..3 * DAY].prop_map(Event::Wait),
        1 => prop_oneof![0..2 * HOUR, 0..30 * DAY].prop_map(Event::SetBack),
        1 => prop_oneof![0..2 * HOUR, 0..30 * DAY].prop_map(Event::SetForward),
    ]
}

/// The error of a clock that is not corrected.
const CLOCK_ERROR: u64 = 5 * MINUTE;

/// The account at Let's Encrypt, with its limits for one name.
#[derive(Default)]
struct LetsEncrypt {
    refused: Vec<u64>,
    issued: Vec<u64>,
}

impl LetsEncrypt {
    /// The most events within a time.
    fn most(times: &[u64], span: u64) -> usize {
        let within = |at: &u64| times.iter().filter(|other| (*at..at + span).contains(other)).count();
        times.iter().map(within).max().unwrap_or_default()
    }
}

/// One attempt at the time `now` of the gate, which is `real` for the CA.
fn attempt(
    record: &mut Record,
    ca: &mut LetsEncrypt,
    (now, real): (u64, u64),
    outcome: Outcome,
    forced: bool,
) {
    let is_new = record.order.is_none();
    if record.choose_rehearsal(true, forced) {
        record.begin(now, 0.5);
        match outcome {
            Outcome::CrashBefore => {}
            Outcome::CrashAfter => record.order = Some("https://staging/1".into()),
            Outcome::Issued => record.rehearsed(now, true),
            Outcome::Refused => record.fail(now, &name_failure(), false, 0.5),
            Outcome::CaFailed => record.rehearsed(now, false),
        }
        return;
    }
    record.begin(now, 0.5);
    match outcome {
        // The worst case: the CA counts an order that the gate does not know of. A known order was counted before.
        Outcome::CrashBefore => ca.refused.extend(is_new.then_some(real)),
        Outcome::CrashAfter => record.order = Some("https://ca/1".into()),
        Outcome::Issued => {
            ca.issued.push(real);
            record.succeed(now);
        }
        Outcome::Refused => {
            ca.refused.push(real);
            record.fail(now, &name_failure(), false, 0.5);
        }
        Outcome::CaFailed => record.fail(now, &Failure::of_ca("503"), false, 0.5),
    }
}

/// A certificate of six days, renewed again and again, in a clock that runs as fast as the machine can.
#[test]
fn a_life_of_six_days_never_ends_and_stays_below_the_limits() {
    const LIFE: u64 = 160 * HOUR;
    let (mut now, mut record, mut ca) = (NOW, Record::default(), LetsEncrypt::default());
    let mut start = now;
    record.begin(now, 0.5);
    record.succeed(now);
    ca.issued.push(now);
    // A year, minute by minute. The CA is down for a day each month, and refuses the name for an hour each week.
    while now < NOW + 365 * DAY {
        now += MINUTE;
        assert!(now < start + LIFE, "the certificate has ended after {} h", (now - start) / HOUR);
        let (from, until) = (start.cast_signed(), (start + LIFE).cast_signed());
        record = Record::read(Some(&record.bytes()), now);
        let at = record.earliest(now, false).max(renewal(from, until, 0.5));
        if at > now {
            continue;
        }
        let (of_month, of_week) = ((now - NOW) % (30 * DAY), (now - NOW) % (7 * DAY));
        let outcome = match (of_month < DAY, of_week < HOUR) {
            (true, _) => Outcome::CaFailed,
            (_, true) => Outcome::Refused,
            _ => Outcome::Issued,
        };
        let before = ca.issued.len();
        attempt(&mut record, &mut ca, (now, now), outcome, false);
        if ca.issued.len() > before {
            start = now;
        }
    }
    assert!((80..=130).contains(&ca.issued.len()), "{}", ca.issued.len());
    assert!(LetsEncrypt::most(&ca.issued, 7 * DAY) <= 3);
    assert!(LetsEncrypt::most(&ca.refused, HOUR) <= 3);
}

proptest! {
    /// The limits of Let's Encrypt, whatever happens: five failed validations for a name in an hour, and five
    /// certificates in seven days. The CA tells the time, by which the limits count if the clock is wrong.
    #[test]
    fn no_limit_of_the_ca_is_reached(events in proptest::collection::vec(event(), 1..400)) {
        let (mut real, mut ahead, mut record) = (NOW, 0_i64, Record::default());
        let mut ca = LetsEncrypt::default();
        for event in events {
            real += 1;
            match event {
                Event::Wait(time) => real += time,
                Event::SetBack(time) => ahead -= time.cast_signed(),
                Event::SetForward(time) => ahead += time.cast_signed(),
                Event::Attempt(outcome, forced) => {
                    let now = real.saturating_add_signed(ahead);
                    record = Record::read(Some(&record.bytes()), now);
                    if record.earliest(now, forced) > now {
                        continue;
                    }
                    let right = if ahead.unsigned_abs() > CLOCK_ERROR { real } else { now };
                    if record.earliest(right, forced) <= right {
                        attempt(&mut record, &mut ca, (right, real), outcome, forced);
                    }
                }
            }
        }
        // A clock that is a little wrong counts.
        let span = 7 * DAY - 2 * CLOCK_ERROR;
        prop_assert!(LetsEncrypt::most(&ca.issued, span) <= CERTIFICATES_MAX, "{:?}", ca.issued);
        // One more, for an order of an earlier hour that is refused late.
        prop_assert!(LetsEncrypt::most(&ca.refused, HOUR - 2 * CLOCK_ERROR) <= TRIES_MAX + 1, "{:?}", ca.refused);
    }

    /// A gate that restarts again and again, and does nothing else, makes no order that it did not wait for.
    #[test]
    fn a_restart_loop_makes_one_order(restarts in 1..200_usize, step in 0..10_u64) {
        let (mut now, mut record, mut orders) = (NOW, Record::default(), Vec::new());
        for _ in 0..restarts {
            now += step;
            record = Record::read(Some(&record.bytes()), now);
            if record.earliest(now, false) <= now {
                record.choose_rehearsal(false, false);
                record.begin(now, 0.0);
                orders.push(now);
            }
        }
        let waits = orders.windows(2).map(|two| two[1] - two[0]);
        prop_assert!(waits.zip(BACK_OFF).all(|(wait, least)| wait >= least), "{:?}", orders);
    }
}
