//! The choice of an endpoint among those that may be used.

use std::cell::Cell;
use std::num::NonZero;
use std::time::Instant;

use super::endpoint_set::EndpointSet;
use super::endpoint_state::Standing;
use super::endpoints::{Endpoints, Share};
use crate::config::plan::Balance;

/// Draws of two endpoints that may be unusable, before those that are usable are looked for.
const DRAWS_MAX: usize = 8;

/// The endpoints that a request has tried, by their indices. Endpoints whose indices differ by 64 count as one.
#[derive(Clone, Copy, Default)]
pub(super) struct Tried(u64);

impl Tried {
    pub(super) fn add(&mut self, index: usize) {
        self.0 |= 1 << (index % 64);
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn has(self, index: usize) -> bool {
        self.0 & 1 << (index % 64) != 0
    }
}

/// The balance of an upstream on one worker.
pub(super) struct Balancer {
    /// The next endpoint of the round robin.
    next: Cell<usize>,
    /// The state of the random numbers.
    random: Cell<u64>,
}

impl Balancer {
    /// The balance of the worker with that number. Workers begin at different endpoints.
    pub(super) fn new(worker: usize) -> Self {
        Self { next: Cell::new(worker), random: Cell::new(mix(worker as u64 + 1)) }
    }

    /// The endpoint for a new request if it needs no search: the next one of equal endpoints.
    pub(super) fn next_fine(&self, endpoints: &Endpoints) -> Option<usize> {
        let all = &endpoints.shares;
        let next = self.next.get();
        let next = if next < all.len() { next } else { next % all.len().max(1) };
        let share = all.get(next)?;
        if !endpoints.are_equal || !share.state.is_fine() {
            return None;
        }
        self.next.set(next + 1);
        Some(next)
    }

    /// The endpoint for a request that has tried some. `hash` is that of its key, if the upstream has one. `None` if
    /// none may be used, or those that may be used have no room.
    pub(super) fn pick(
        &self,
        set: &EndpointSet,
        endpoints: &Endpoints,
        tried: Tried,
        hash: Option<NonZero<u64>>,
        now: Instant,
    ) -> Option<usize> {
        let slow_start = set.plan.policy.slow_start;
        let draw = || self.draw(endpoints, tried, now).filter(|_| slow_start.is_zero());
        let easy = match &set.plan.policy.balance {
            Balance::Random => draw(),
            Balance::LeastRequests => less_of_two(&endpoints.shares, draw),
            _ => None,
        };
        if easy.is_some() {
            return easy;
        }
        let all = &*endpoints.shares;
        let is_retry = !tried.is_empty();
        let rank = |(index, share): (usize, &Share)| {
            let rank = rank(share, now).filter(|_| !tried.has(index))?;
            // A retry would rather have a backup that works than an endpoint that has just failed others.
            Some((is_retry && share.state.has_failed(), rank))
        };
        let best = all.iter().enumerate().filter_map(rank).min()?;
        let is_best = |index: usize| all.get(index).is_some_and(|share| rank((index, share)) == Some(best));
        let may = |index: usize| is_best(index) && endpoints.has_room(index);
        let weight = |share: &Share| u64::from(share.weight * share.state.share(now, slow_start));
        match &set.plan.policy.balance {
            Balance::RoundRobin => self.round_robin(endpoints, may, weight),
            Balance::StrictRoundRobin => nth(all.len(), set.take_turn(), may),
            Balance::Random => self.random(all, may, weight),
            Balance::LeastRequests => self.least_requests(all, may, weight),
            Balance::Hash { bound, .. } => match hash {
                Some(hash) => by_hash(endpoints, hash.get(), bound.map(u64::from), may),
                None => self.round_robin(endpoints, may, weight),
            },
        }
    }

    fn round_robin(
        &self,
        endpoints: &Endpoints,
        may: impl Fn(usize) -> bool,
        weight: impl Fn(&Share) -> u64,
    ) -> Option<usize> {
        let all = &endpoints.shares;
        if !endpoints.are_equal || all.iter().any(|share| share.state.is_starting()) {
            return smooth(all, may, weight);
        }
        let picked = in_turn(all.len(), self.next.get(), may)?;
        self.next.set(picked + 1);
        Some(picked)
    }

    /// A random one of equal endpoints, without a search. `None` if it may not be used.
    fn draw(&self, endpoints: &Endpoints, tried: Tried, now: Instant) -> Option<usize> {
        let index = self.below(endpoints.shares.len() as u64) as usize;
        let share = endpoints.shares.get(index)?;
        let is_usable = endpoints.are_equal && !tried.has(index) && rank(share, now) == Some(0);
        (is_usable && endpoints.has_room(index)).then_some(index)
    }

    /// One of them, by their weights.
    fn random(
        &self,
        all: &[Share],
        may: impl Fn(usize) -> bool,
        weight: impl Fn(&Share) -> u64,
    ) -> Option<usize> {
        let usable = || all.iter().enumerate().filter(|(index, _)| may(*index));
        let sum: u64 = usable().map(|(_, share)| weight(share)).sum();
        let mut left = self.below(sum);
        let picked = usable().find(|(_, share)| {
            let is_here = left < weight(share);
            left = left.saturating_sub(weight(share));
            is_here
        });
        picked.map(|(index, _)| index)
    }

    /// The one with fewer open requests of two random ones. Two choices do not send all workers to the same endpoint,
    /// as a search for the least would.
    fn least_requests(
        &self,
        all: &[Share],
        may: impl Fn(usize) -> bool + Copy,
        weight: impl Fn(&Share) -> u64 + Copy,
    ) -> Option<usize> {
        let first = self.random(all, may, weight)?;
        let draws = (0..DRAWS_MAX).filter_map(|_| self.random(all, may, weight));
        let mut others = draws.filter(|other| *other != first);
        let Some(second) =
            others.next().or_else(|| in_turn(all.len(), first + 1, |at| at != first && may(at)))
        else {
            return Some(first);
        };
        let load = |index: usize| u64::from(all[index].state.open());
        let is_first = load(first) * weight(&all[second]) <= load(second) * weight(&all[first]);
        Some(if is_first { first } else { second })
    }

    /// A random number below `end`; 0 if `end` is 0.
    fn below(&self, end: u64) -> u64 {
        self.random.set(self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        ((u128::from(mix(self.random.get())) * u128::from(end)) >> 64) as u64
    }
}

/// The one with fewer open requests of two that are drawn. The cost does not grow with the number of endpoints.
fn less_of_two(all: &[Share], draw: impl Fn() -> Option<usize>) -> Option<usize> {
    let first = draw()?;
    let second = (0..DRAWS_MAX).map_while(|_| draw()).find(|other| *other != first)?;
    Some(if all[first].state.open() <= all[second].state.open() { first } else { second })
}

/// Whether one of the endpoints that are `meant` may be used.
pub(super) fn is_any_usable(endpoints: &Endpoints, meant: impl Fn(usize) -> bool, now: Instant) -> bool {
    let mut all = endpoints.shares.iter().enumerate();
    all.any(|(index, share)| meant(index) && rank(share, now).is_some())
}

/// How far an endpoint comes after others; `None` if it must not be used.
fn rank(share: &Share, now: Instant) -> Option<u8> {
    match share.state.standing(now) {
        Standing::Usable => Some(u8::from(share.is_backup)),
        Standing::Ejected => Some(2 + u8::from(share.is_backup)),
        Standing::Draining | Standing::Down => None,
    }
}

/// The first from `start` on that may be used.
fn in_turn(count: usize, start: usize, may: impl Fn(usize) -> bool) -> Option<usize> {
    let start = start.checked_rem(count)?;
    (start..count).chain(0..start).find(|index| may(*index))
}

/// The one whose turn it is, of those that may be used. So the turn of one that may not is shared by all others.
fn nth(count: usize, turn: usize, may: impl Fn(usize) -> bool) -> Option<usize> {
    let usable = || (0..count).filter(|index| may(*index));
    usable().nth(turn.checked_rem(usable().count())?)
}

/// The smooth weighted round robin: each gets its weight, the richest is picked and pays the sum. So endpoints with
/// large weights alternate with the others.
fn smooth(all: &[Share], may: impl Fn(usize) -> bool, weight: impl Fn(&Share) -> u64) -> Option<usize> {
    let (mut sum, mut picked): (i64, Option<usize>) = (0, None);
    for (index, share) in all.iter().enumerate().filter(|(index, _)| may(*index)) {
        let weight = weight(share) as i64;
        share.account.set(share.account.get() + weight);
        sum += weight;
        if picked.is_none_or(|best| share.account.get() > all[best].account.get()) {
            picked = Some(index);
        }
    }
    let account = &all[picked?].account;
    account.set(account.get() - sum);
    picked
}

/// Rendezvous: the endpoint with the highest score for this hash. When an endpoint is lost, only its own keys move.
/// `bound`, per cent: an endpoint with more than that share of the open requests is skipped.
fn by_hash(
    endpoints: &Endpoints,
    hash: u64,
    bound: Option<u64>,
    may: impl Fn(usize) -> bool,
) -> Option<usize> {
    let usable = || endpoints.shares.iter().enumerate().filter(|(index, _)| may(*index));
    let score = |share: &Share| {
        // From 2^-53 to 1. With equal weights, it is in the order of the scores.
        let drawn = ((mix(hash ^ share.id) >> 11) + 1) as f64 / (1u64 << 53) as f64;
        if endpoints.are_equal { drawn } else { -f64::from(share.weight) / drawn.ln() }
    };
    let sums = |(open, weights), (_, share): (usize, &Share)| {
        (open + u64::from(share.state.open()), weights + u64::from(share.weight))
    };
    let (open, weights) = bound.map_or((0, 0), |_| usable().fold((0, 0), sums));
    let has_room = |share: &Share| {
        let own = u64::from(share.state.open());
        bound.is_none_or(|bound| own * weights * 100 <= bound * (open + 1) * u64::from(share.weight))
    };
    let best = |is_bound: bool| {
        let fitting = usable().filter(|(_, share)| !is_bound || has_room(share));
        let scored = fitting.map(|(index, share)| (score(share), index));
        scored.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, index)| index)
    };
    best(true).or_else(|| best(false))
}

/// Mixes the bits of a number (the finalizer of SplitMix64).
pub(super) fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
#[path = "balance_tests.rs"]
mod tests;
