//! Connections to the chosen endpoint, or to another one of its target that is faster.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use super::balance::Tried;
use super::pool::{ConnectError, ENDPOINTS_MAX, Race, TargetConnection};
use super::upstream::{Choice, Upstream};
use crate::worker::Worker;

impl Upstream {
    /// Opens a connection to the chosen endpoint, or to another one of its target if that is the first to answer. The
    /// choice is the endpoint of the connection then. The time limit covers everything: the name, every address and
    /// TLS. No connection is opened to an address of `own`, on which this gate listens.
    ///
    /// # Errors
    /// [`ConnectError`] of the endpoint that failed last.
    pub async fn open(
        &self,
        worker: &Worker,
        choice: &mut Choice,
        own: &[SocketAddr],
    ) -> Result<Box<TargetConnection>, ConnectError> {
        let race = Race::default();
        let opening = async { Ok(self.open_target(worker, choice, own, &race).await) };
        let error = match worker.timer().within(self.set.plan.settings.connect_timeout, opening).await {
            Ok(Some(mut connection)) => {
                // A request that is sent once more has no count any more.
                let counted = choice.counted.take();
                connection.counted = counted.or_else(|| self.count(&choice.endpoints, choice.index));
                self.counters.opened.add(1);
                return Ok(connection);
            }
            Ok(None) => None,
            Err(late) => Some(late),
        };
        self.counters.failed.add(1);
        let trying = race.trying.take();
        for index in &trying {
            self.set.failed(&choice.endpoints.shares[*index].state, worker.now());
        }
        race.tried.take().into_iter().for_each(|index| choice.tried.add(index));
        let address = |index: usize| choice.endpoints.pools[index].address;
        let handshaking = trying.iter().find(|index| race.accepted.get() == Some(**index));
        if let (Some(index), Some(late)) = (handshaking, &error) {
            return Err(ConnectError::of_handshake(address(*index), late));
        }
        let (address, error) = match (trying.last(), error, race.failed.take()) {
            (Some(index), Some(late), _) => (address(*index), late),
            (_, None, Some((index, error))) | (None, Some(_), Some((index, error))) => {
                (address(index), error)
            }
            (_, late, None) => (None, late.unwrap_or_else(|| io::ErrorKind::NotFound.into())),
        };
        Err(ConnectError::of_attempt(address, error))
    }

    async fn open_target(
        &self,
        worker: &Worker,
        choice: &mut Choice,
        own: &[SocketAddr],
        race: &Race,
    ) -> Option<Box<TargetConnection>> {
        let destination = choice.pool().destination.clone();
        let Some(name) = &destination.name else { return self.open_one_of(worker, choice, own, race).await };
        let answer = name.current(worker).await;
        self.follow(choice, worker.now());
        if let Some(connection) = self.open_one_of(worker, choice, own, race).await {
            return Some(connection);
        }
        // The container may have moved in the meantime: resolve again, and try the new addresses if they differ.
        if name.renewed().await.version == answer.version {
            return None;
        }
        race.tried.borrow_mut().clear();
        self.follow(choice, worker.now());
        self.open_one_of(worker, choice, own, race).await
    }

    /// Opens a connection to the chosen endpoint, or to one of the others of its target if they are faster.
    async fn open_one_of(
        &self,
        worker: &Worker,
        choice: &mut Choice,
        own: &[SocketAddr],
        race: &Race,
    ) -> Option<Box<TargetConnection>> {
        let endpoints = choice.endpoints.clone();
        let order = endpoints.others(choice.index, |index| !choice.tried.has(index), worker.now());
        let order: Vec<usize> = std::iter::once(choice.index).chain(order).take(ENDPOINTS_MAX).collect();
        let failed = |index: usize| self.set.failed(&endpoints.shares[index].state, worker.now());
        let connect = |index: usize| {
            let pool = endpoints.pools[index].clone();
            async move { pool.connect(worker, own, || race.accepted.set(Some(index))).await }
        };
        let (index, connection) = race.run(&order, worker.timer(), connect, failed).await?;
        if index != choice.index {
            choice.index = index;
            choice.counted = self.count(&endpoints, index);
        }
        Some(connection)
    }

    /// Follows a change of the endpoints: the choice stays with its address, or with its target.
    fn follow(&self, choice: &mut Choice, now: Instant) {
        let endpoints = self.endpoints(now);
        if Rc::ptr_eq(&endpoints, &choice.endpoints) {
            return;
        }
        let (target, address) = (choice.endpoints.shares[choice.index].target, choice.pool().address);
        let of_target = |index: &usize| endpoints.shares[*index].target == target;
        let has_address = |index: &usize| endpoints.pools[*index].address == address;
        let mut all = (0..endpoints.shares.len()).filter(of_target);
        let Some(first) = all.clone().find(has_address).or_else(|| {
            let next = self.balancer.next_fine(&endpoints).filter(of_target);
            next.or_else(|| all.next())
        }) else {
            return;
        };
        (choice.index, choice.tried, choice.held) = (first, Tried::default(), None);
        choice.endpoints = endpoints;
        choice.counted = self.count(&choice.endpoints, first);
    }
}
