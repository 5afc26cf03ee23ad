//! Tests of the balance and of ejections, against what each promises, under sets that change.

use std::collections::HashSet;
use std::net::IpAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::mix;
use crate::config::plan::{self, Balance, HashKey, Origin, Plan, Scheme, Target, TargetAddress, TargetHost};
use crate::config::plan::{UpstreamId, UpstreamPolicy, UpstreamSettings, UpstreamTls};
use crate::metrics::Counters;
use crate::upstream::{Choice, NameCache, Next, Pools, Standing, Upstream, UpstreamTable};

/// A target at 10.0.0.`last`.
fn target(last: u8, weight: u16, backup: bool) -> Target {
    let host = TargetHost::Address([10, 0, 0, last].into());
    Target { scheme: Scheme::Http, host, port: 80, base_path: "".into(), weight, backup }
}

fn plan_of(targets: Vec<Target>, balance: Balance) -> Plan {
    let upstream = plan::Upstream {
        name: "one".into(),
        origin: Origin { file: "smolgate.yml".into(), line: 1, column: 1 },
        targets,
        tls: UpstreamTls::default(),
        settings: UpstreamSettings { tries: 9, ..UpstreamSettings::default() },
        policy: UpstreamPolicy { balance, ..UpstreamPolicy::default() },
    };
    Plan { upstreams: vec![upstream], ..Plan::empty() }
}

fn table(plan: &Plan, before: Option<&UpstreamTable>) -> UpstreamTable {
    UpstreamTable::new(plan, &NameCache::default(), before).unwrap()
}

/// The upstream of a table on a worker.
fn on(worker: usize, table: &UpstreamTable) -> Upstream {
    let mut pools = Pools::default();
    pools.number = worker;
    pools.upstream(table, UpstreamId(0), &Counters::new().worker())
}

/// An upstream with targets of these weights. Negative ones are backups.
fn upstream(weights: &[i32], balance: Balance) -> Upstream {
    let target = |(at, weight): (usize, &i32)| target(at as u8, weight.unsigned_abs() as u16, *weight < 0);
    on(0, &table(&plan_of(weights.iter().enumerate().map(target).collect(), balance), None))
}

/// The indices that so many requests are given, and held at, if open requests count.
fn picks(upstream: &Upstream, count: usize) -> Vec<usize> {
    (0..count).map(|_| upstream.choose(Instant::now(), None, None).unwrap().index()).collect()
}

fn counts(picks: &[usize], endpoints: usize) -> Vec<usize> {
    (0..endpoints).map(|index| picks.iter().filter(|picked| **picked == index).count()).collect()
}

fn fail(upstream: &Upstream, index: usize, times: usize, now: Instant) {
    let state = upstream.list()[index].state.clone();
    (0..times).for_each(|_| upstream.set().failed(&state, now));
}

#[test]
fn equal_endpoints_are_used_in_turn() {
    assert_eq!(picks(&upstream(&[1, 1, 1], Balance::RoundRobin), 7), [0, 1, 2, 0, 1, 2, 0]);
}

#[test]
fn workers_begin_at_different_endpoints() {
    let table =
        table(&plan_of((0..3).map(|last| target(last, 1, false)).collect(), Balance::RoundRobin), None);
    let firsts: Vec<usize> = (0..4).map(|worker| picks(&on(worker, &table), 1)[0]).collect();
    assert_eq!(firsts, [0, 1, 2, 0]);
}

#[test]
fn all_workers_count_together_in_the_strict_round_robin() {
    let table =
        table(&plan_of((0..3).map(|last| target(last, 1, false)).collect(), Balance::StrictRoundRobin), None);
    let (one, other) = (on(0, &table), on(1, &table));
    let mixed: Vec<usize> = (0..3).flat_map(|_| [picks(&one, 1)[0], picks(&other, 1)[0]]).collect();
    assert_eq!(mixed, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn weights_are_kept_exactly_and_smoothly() {
    let upstream = upstream(&[5, 1, 1], Balance::RoundRobin);
    assert_eq!(picks(&upstream, 7), [0, 0, 1, 0, 2, 0, 0]);
    assert_eq!(counts(&picks(&upstream, 700), 3), [500, 100, 100]);
}

#[test]
fn random_and_two_choices_follow_the_weights() {
    for balance in [Balance::Random, Balance::LeastRequests] {
        let found = counts(&picks(&upstream(&[3, 1], balance.clone()), 4000), 2);
        assert!(found[0] > found[1] && found[1] > 200, "{balance:?} {found:?}");
    }
    let found = counts(&picks(&upstream(&[3, 1], Balance::Random), 4000), 2);
    assert!((2800..3200).contains(&found[0]), "{found:?}");
}

#[test]
fn least_requests_counts_the_requests_of_all_workers() {
    let table =
        table(&plan_of((0..3).map(|last| target(last, 1, false)).collect(), Balance::LeastRequests), None);
    let workers = [on(0, &table), on(1, &table)];
    let open: Vec<Choice> =
        (0..300).map(|at| workers[at % 2].choose(Instant::now(), None, None).unwrap()).collect();
    let at: Vec<u32> = workers[0].list().iter().map(|endpoint| endpoint.state.open()).collect();
    assert!(at.iter().all(|open| (95..=105).contains(open)) && at.iter().sum::<u32>() == 300, "{at:?}");
    drop(open);
    assert!(workers[0].list().iter().all(|endpoint| endpoint.state.open() == 0));
}

#[test]
fn a_backup_is_used_only_while_nothing_else_is_usable() {
    let upstream = upstream(&[1, 1, -1, -1], Balance::RoundRobin);
    assert_eq!(counts(&picks(&upstream, 10), 4), [5, 5, 0, 0]);
    let now = Instant::now();
    fail(&upstream, 0, 3, now);
    fail(&upstream, 1, 3, now);
    assert_eq!(counts(&picks(&upstream, 10), 4), [0, 0, 5, 5]);
}

fn by_client(bound: Option<u32>) -> Balance {
    Balance::Hash { key: HashKey::Client, bound }
}

#[test]
fn a_hash_moves_only_the_keys_of_an_endpoint_that_left() {
    let home = |upstream: &Upstream, key: u64| {
        let choice = upstream.choose(Instant::now(), NonZero::new(mix(key + 1)), None).unwrap();
        upstream.list()[choice.index()].address.clone()
    };
    let (four, three) = (upstream(&[1; 4], by_client(None)), upstream(&[1; 3], by_client(None)));
    let lost = four.list()[3].address.clone();
    let mut moved = 0;
    for key in 0..1000 {
        let before = home(&four, key);
        assert_eq!(before, home(&four, key));
        if before == lost {
            moved += 1;
        } else {
            assert_eq!(before, home(&three, key), "{key}");
        }
    }
    assert!((200..300).contains(&moved), "{moved} of 1000 keys were at the endpoint that left");
    let weighted = upstream(&[3, 1], by_client(None));
    let first = (0..4000).filter(|key| home(&weighted, *key) == weighted.list()[0].address).count();
    assert!((2850..3150).contains(&first), "{first}");
}

#[test]
fn a_bound_sends_a_popular_key_to_others() {
    let upstream = upstream(&[1; 4], by_client(Some(125)));
    let open: Vec<Choice> =
        (0..100).map(|_| upstream.choose(Instant::now(), NonZero::new(7), None).unwrap()).collect();
    let picked: Vec<usize> = open.iter().map(Choice::index).collect();
    let most = counts(&picked, 4).into_iter().max().unwrap();
    assert!((26..=32).contains(&most), "{:?}", counts(&picked, 4));
}

#[test]
fn a_request_without_a_key_goes_in_turn() {
    assert_eq!(counts(&picks(&upstream(&[1; 3], by_client(None)), 9), 3), [3, 3, 3]);
}

#[test]
fn three_failures_in_a_row_eject_and_a_success_forgives_them() {
    let upstream = upstream(&[1, 1], Balance::RoundRobin);
    let (now, state) = (Instant::now(), upstream.list()[0].state.clone());
    fail(&upstream, 0, 2, now);
    state.succeeded();
    fail(&upstream, 0, 2, now);
    assert_eq!(state.standing(now), Standing::Usable, "not in a row");
    fail(&upstream, 0, 1, now);
    let at = |seconds| state.standing(now + Duration::from_secs(seconds));
    assert_eq!((at(9), at(10)), (Standing::Ejected, Standing::Usable));
    // One more failure is enough then, and the time grows.
    fail(&upstream, 0, 1, now + Duration::from_secs(10));
    assert_eq!((at(29), at(30)), (Standing::Ejected, Standing::Usable));
    state.succeeded();
    fail(&upstream, 0, 3, now + Duration::from_secs(30));
    assert_eq!((at(39), at(40)), (Standing::Ejected, Standing::Usable), "a success ends the row");
}

/// Also if one failure is enough, so that none is left to be counted when the time is over.
#[test]
fn a_success_ends_an_ejection_after_a_single_failure() {
    let mut plan = plan_of(vec![target(1, 1, false), target(2, 1, false)], Balance::RoundRobin);
    let eject = plan.upstreams[0].policy.eject.as_mut().unwrap();
    (eject.failures, eject.time) = (1, Duration::from_secs(10));
    let upstream = on(0, &table(&plan, None));
    let (now, state) = (Instant::now(), upstream.list()[0].state.clone());
    fail(&upstream, 0, 1, now);
    assert_eq!(state.standing(now), Standing::Ejected);
    state.was_checked(true);
    assert_eq!(state.standing(now), Standing::Usable);
    // The next ejection is the first of a row again.
    fail(&upstream, 0, 1, now);
    assert_eq!(state.standing(now + Duration::from_secs(10)), Standing::Usable);
}

#[test]
fn a_reload_keeps_ejections() {
    let plan = plan_of(vec![target(1, 1, false), target(2, 1, false)], Balance::RoundRobin);
    let old = table(&plan, None);
    let now = Instant::now();
    fail(&on(0, &old), 0, 3, now);
    let swapped = plan_of(vec![target(2, 1, false), target(1, 4, false)], Balance::Random);
    let new = on(0, &table(&swapped, Some(&old)));
    let standings: Vec<_> = new.list().iter().map(|endpoint| endpoint.state.standing(now)).collect();
    assert_eq!(standings, [Standing::Usable, Standing::Ejected]);
}

#[test]
fn every_address_of_a_name_is_an_endpoint_as_long_as_it_has_it() {
    let names = NameCache::default();
    let host = TargetHost::Name("moving.test".into());
    let target = Target { host, ..target(0, 1, false) };
    let plan = plan_of(vec![target], Balance::RoundRobin);
    let upstream = on(0, &UpstreamTable::new(&plan, &names, None).unwrap());
    let name = names.get(&"moving.test".into());
    let ip = |at: &usize| match &upstream.list()[*at].address {
        Some(TargetAddress::Ip(address)) => Some(address.ip()),
        _ => None,
    };
    let used = |count: usize| -> HashSet<Option<IpAddr>> { picks(&upstream, count).iter().map(ip).collect() };
    assert_eq!(used(2), [None].into());
    let [one, two, three] = [1, 2, 3].map(|last| IpAddr::from([10, 9, 9, last]));
    name.store(Ok(vec![one, two]), Instant::now());
    assert_eq!(used(2), [Some(one), Some(two)].into());
    let state = |at: usize| upstream.list()[at].state.clone();
    let kept = state(1);
    name.store(Ok(vec![two, three]), Instant::now());
    assert_eq!(used(2), [Some(two), Some(three)].into());
    assert!(Arc::ptr_eq(&kept, &state(0)), "an address that stays keeps its state");
}

#[test]
fn the_share_of_an_endpoint_that_came_back_grows() {
    let mut plan = plan_of(vec![target(1, 1, false), target(2, 1, false)], Balance::RoundRobin);
    let slow_start = Duration::from_secs(30);
    plan.upstreams[0].policy.slow_start = slow_start;
    let upstream = on(0, &table(&plan, None));
    // Later than the start of the clock of all endpoints, which may begin in this test.
    let (now, state) = (Instant::now() + Duration::from_secs(1), upstream.list()[1].state.clone());
    let spread = |seconds, count: usize| {
        let pick = |_| upstream.choose(now + Duration::from_secs(seconds), None, None).unwrap().index();
        counts(&(0..count).map(pick).collect::<Vec<_>>(), 2)
    };
    assert_eq!(spread(0, 100), [50, 50], "at the start of the process");
    state.set_down(true, now, slow_start);
    assert_eq!(spread(0, 100), [100, 0]);
    state.set_down(false, now, slow_start);
    assert_eq!(spread(0, 110), [100, 10]);
    assert_eq!(spread(15, 150), [100, 50]);
    assert_eq!(spread(30, 100), [50, 50]);
}

/// Every balance, by a number.
fn balance(number: usize) -> Balance {
    match number {
        0 => Balance::RoundRobin,
        1 => Balance::StrictRoundRobin,
        2 => Balance::Random,
        3 => Balance::LeastRequests,
        4 => by_client(None),
        _ => by_client(Some(125)),
    }
}

/// The standing of each endpoint, and the best one that may be used.
fn standings(upstream: &Upstream, now: Instant) -> (Vec<Standing>, Option<Standing>) {
    let all: Vec<_> = upstream.list().iter().map(|endpoint| endpoint.state.standing(now)).collect();
    let best = [Standing::Usable, Standing::Ejected].into_iter().find(|best| all.contains(best));
    (all, best)
}

proptest! {
    /// Targets come and go with reloads, fail, work, drain and are down, in any order. A request gets a usable endpoint as
    /// long as there is one, else one that is ejected, and never one that drains or is down. All usable ones get their
    /// share.
    #[test]
    fn a_changing_set_gives_what_is_usable(
        number in 0usize..6,
        steps in proptest::collection::vec((0usize..8, 0usize..6, 1u64..64), 0..100),
    ) {
        let set = |mask: u64| {
            let targets = (0..6).filter(|at| mask & 1 << at != 0).map(|at| target(at, 1, false));
            plan_of(targets.collect(), balance(number))
        };
        let mut now = Instant::now();
        let mut current = table(&set(63), None);
        let mut upstream = on(1, &current);
        for (step, index, value) in steps {
            let list = upstream.list();
            let state = &list[index % list.len()].state;
            match step {
                0 => {
                    current = table(&set(value), Some(&current));
                    upstream = on(1, &current);
                }
                1..=3 => fail(&upstream, index % list.len(), 1, now),
                4 => state.succeeded(),
                5 => state.set_down(value.is_multiple_of(2), now, Duration::ZERO),
                6 => state.set_draining(value.is_multiple_of(2)),
                _ => now += Duration::from_secs(value),
            }
            let (standings, best) = standings(&upstream, now);
            let choice = upstream.choose(now, NonZero::new(mix(value)), None);
            prop_assert_eq!(choice.map(|choice| standings[choice.index()]), best, "{:?}", standings);
        }
        let (standings, best) = standings(&upstream, now);
        let best = |at: usize| Some(standings[at]) == best;
        let each = 200 * (0..standings.len()).filter(|at| best(*at)).count() as u64;
        let choose = |key: u64| Some(upstream.choose(now, NonZero::new(mix(key + 1)), None)?.index());
        let found = counts(&(0..each).filter_map(choose).collect::<Vec<_>>(), standings.len());
        // Two are exact, and the others random: 200 of 1,200 are less than 120 once in a billion.
        let least = if number < 2 { 200 } else { 120 };
        for (index, count) in found.iter().enumerate() {
            prop_assert!(if best(index) { *count >= least } else { *count == 0 }, "{found:?} {standings:?}");
        }
    }

    /// Endpoints fail, succeed and wait in any order. One is always found, none is ejected too many, and a request
    /// gets no ejected one while another is usable.
    #[test]
    fn ejections_leave_enough(
        count in 1usize..7,
        steps in proptest::collection::vec((0usize..4, 0usize..7, 0u64..40), 0..200),
    ) {
        let upstream = upstream(&vec![1; count], Balance::RoundRobin);
        let mut now = Instant::now();
        for (step, index, seconds) in steps {
            let index = index % count;
            match step {
                0 | 1 => fail(&upstream, index, 1, now),
                2 => upstream.list()[index].state.succeeded(),
                _ => now += Duration::from_secs(seconds),
            }
            let list = upstream.list();
            let ejected = list.iter().filter(|one| one.state.standing(now) == Standing::Ejected).count();
            prop_assert!(ejected <= count / 2, "{ejected} of {count}");
            let mut choice = upstream.choose(now, None, None).unwrap();
            prop_assert_eq!(list[choice.index()].state.standing(now), Standing::Usable);
            // Further tries find every endpoint once.
            // So many requests earn enough for all tries.
            upstream.counters.reused.add(100);
            let mut seen = HashSet::from([choice.index()]);
            while let Next::Chosen = upstream.choose_next(&mut choice, now, true) {
                prop_assert!(seen.insert(choice.index()));
            }
            prop_assert_eq!(seen.len(), count);
        }
    }
}
