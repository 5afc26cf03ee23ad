//! The endpoints of an upstream on one worker.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::endpoint_state::{EndpointState, Standing};
use super::limits::RequestCount;
use super::limits::{Busy, OpenConnection};
use super::pool::Pool;
use super::sticky::Cookie;

/// The endpoints of an upstream on one worker, as they were at one moment. A request holds them over all its tries, so
/// its indices stay valid.
pub(super) struct Endpoints {
    /// The version of the set that they were made of.
    pub(super) version: u64,
    pub(super) shares: Box<[Share]>,
    /// The pool of each.
    pub(super) pools: Box<[Rc<Pool>]>,
    /// The sticky cookie of each, if the upstream has one.
    pub(super) cookies: Box<[Cookie]>,
    /// All have equal weights, and none is a backup.
    pub(super) are_equal: bool,
}

/// An endpoint as the balance sees it.
pub(super) struct Share {
    pub(super) state: Arc<EndpointState>,
    /// Counts requests at it.
    pub(super) count: Rc<RequestCount>,
    /// Index of the target.
    pub(super) target: usize,
    pub(super) weight: u32,
    /// Used only if no other endpoint is usable.
    pub(super) is_backup: bool,
    /// The account of the smooth weighted round robin.
    pub(super) account: Cell<i64>,
    /// The number by which hashes know it.
    pub(super) id: u64,
}

impl Endpoints {
    pub(super) fn new(version: u64, endpoints: Vec<(Share, Rc<Pool>)>, cookies: Vec<Cookie>) -> Self {
        let (shares, pools): (Vec<_>, Vec<_>) = endpoints.into_iter().unzip();
        let first = shares.first().map_or(1, |share: &Share| share.weight);
        let are_equal = shares.iter().all(|share| share.weight == first && !share.is_backup);
        Self { version, shares: shares.into(), pools: pools.into(), cookies: cookies.into(), are_equal }
    }

    /// Whether an endpoint has a free place for a request.
    pub(super) fn has_room(&self, index: usize) -> bool {
        let Share { state, count, .. } = &self.shares[index];
        let limits = count.shared.as_ref().and_then(|shared| shared.limits.as_ref());
        limits.is_none_or(|limits| limits.have_room(state, || self.pools[index].has_idle()))
    }

    /// Counts a connection to an endpoint, if their number has a limit. It may take the place of an idle one of this
    /// worker. `place` is one that the request has already.
    pub(super) fn begin_connection(
        &self,
        index: usize,
        place: Option<OpenConnection>,
    ) -> Result<Option<OpenConnection>, Busy> {
        let Share { state, count, .. } = &self.shares[index];
        let Some(limits) = count.shared.as_ref().and_then(|shared| shared.limits.as_ref()) else {
            return Ok(None);
        };
        if let Some(place) = place.filter(|place| place.is_at(state)) {
            return Ok(Some(place));
        }
        loop {
            if let Some(place) = limits.begin_connection(state) {
                return Ok(Some(place));
            }
            if !self.pools[index].close_one() {
                return Err(Busy);
            }
        }
    }

    /// The endpoint whose sticky cookie has this value, if it may still be used.
    pub(super) fn held_by(&self, cookie: &[u8], now: Instant) -> Option<usize> {
        let index = self.cookies.iter().position(|own| own.value == cookie)?;
        let may = matches!(self.shares[index].state.standing(now), Standing::Usable | Standing::Draining);
        (may && self.has_room(index)).then_some(index)
    }

    /// The other endpoints of the same target that `may` be used and have room, in turn; ejected ones are last.
    pub(super) fn others(&self, index: usize, may: impl Fn(usize) -> bool, now: Instant) -> Vec<usize> {
        let (count, target) = (self.shares.len(), self.shares[index].target);
        let all = (index + 1..count).chain(0..index);
        let is_meant =
            |other: usize| self.shares[other].target == target && may(other) && self.has_room(other);
        let others = all.filter(|other| is_meant(*other));
        let (mut usable, mut ejected) = (Vec::new(), Vec::new());
        for other in others {
            match self.shares[other].state.standing(now) {
                Standing::Usable => usable.push(other),
                Standing::Ejected => ejected.push(other),
                Standing::Draining | Standing::Down => {}
            }
        }
        usable.append(&mut ejected);
        usable
    }
}
