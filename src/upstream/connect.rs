//! Connections to the chosen endpoint, or to another one of its target that is faster.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use super::balance::Tried;
use super::limits::{Busy, OpenConnection, OpenRequest, Waits, is_busy};
use super::names::NameObserver;
use super::pool::{ConnectError, ENDPOINTS_MAX, Race, TargetConnection};
use super::upstream::{Choice, Upstream};
use crate::worker::Worker;

impl Upstream {
    /// Opens a connection to the chosen endpoint, or to another one of its target if that is the first to answer. The
    /// choice is the endpoint of the connection then. The time limit covers everything: the name, every address and
    /// TLS. No connection is opened to an address of `own`, on which this gate listens. `waits` has the
    /// place of the connection, if the request has waited for it.
    ///
    /// # Errors
    /// [`ConnectError`] of the endpoint that failed last. Its reason is `TargetBusy` if there is no place for a
    /// connection or a request, which is no failure of the endpoint.
    pub async fn open(
        &self,
        worker: &Worker,
        choice: &mut Choice,
        own: &[SocketAddr],
        waits: &mut Waits,
    ) -> Result<Box<TargetConnection>, ConnectError> {
        // A request that is sent again has given its place back.
        if choice.counted.is_none() && !choice.move_to(choice.index) {
            return Err(ConnectError::busy());
        }
        let (race, place) = (Race::default(), Cell::new(waits.place.take()));
        let opening = async { Ok(self.open_target(worker, choice, own, &race, &place).await) };
        let error = match worker.timer().within(self.set.plan.settings.connect_timeout, opening).await {
            Ok(Some(mut connection)) => {
                connection.counted = choice.counted.take();
                let counter = if connection.is_new { &self.counters.opened } else { &self.counters.reused };
                counter.add(1);
                return Ok(connection);
            }
            Ok(None) => None,
            Err(late) => Some(late),
        };
        let is_full = |(_, error): &(usize, io::Error)| is_busy(error);
        let failed = race.failed.take();
        if error.is_none() && failed.as_ref().is_some_and(is_full) {
            return Err(ConnectError::busy());
        }
        self.counters.failed.add(1);
        let trying = race.trying.take();
        for index in &trying {
            self.set.failed(&choice.endpoints.shares[*index].state, worker.now());
        }
        race.tried.take().into_iter().for_each(|index| choice.tried.add(index));
        let address = |index: usize| choice.endpoints.pools[index].address.clone();
        let handshaking = trying.iter().find(|index| race.accepted.get() == Some(**index));
        if let (Some(index), Some(late)) = (handshaking, &error) {
            return Err(ConnectError::of_handshake(address(*index), late));
        }
        let (address, error) = match (trying.last(), error, failed) {
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
        place: &Cell<Option<OpenConnection>>,
    ) -> Option<Box<TargetConnection>> {
        let destination = choice.pool().destination.clone();
        let Some(name) = &destination.name else {
            return self.open_one_of(worker, choice, own, race, place).await;
        };
        let answer = name.current(worker).await;
        if choice.pool().address.is_none() {
            // The answer may be there before the thread of the resolver has told of it.
            self.set.name_changed();
        }
        self.follow_or_fail(choice, worker, race)?;
        if let Some(connection) = self.open_one_of(worker, choice, own, race, place).await {
            return Some(connection);
        }
        // The container may have moved in the meantime: resolve again, and try the new addresses if they differ.
        if name.renewed().await.version == answer.version {
            return None;
        }
        race.tried.borrow_mut().clear();
        self.set.name_changed();
        self.follow_or_fail(choice, worker, race)?;
        self.open_one_of(worker, choice, own, race, place).await
    }

    /// Opens a connection to the chosen endpoint, or to one of the others of its target if they are faster.
    async fn open_one_of(
        &self,
        worker: &Worker,
        choice: &mut Choice,
        own: &[SocketAddr],
        race: &Race,
        place: &Cell<Option<OpenConnection>>,
    ) -> Option<Box<TargetConnection>> {
        let endpoints = choice.endpoints.clone();
        let order = endpoints.others(choice.index, |index| !choice.tried.has(index), worker.now());
        let order: Vec<usize> = std::iter::once(choice.index).chain(order).take(ENDPOINTS_MAX).collect();
        let failed = |index: usize, error: Option<&io::Error>| {
            if !error.is_some_and(is_busy) {
                self.set.failed(&endpoints.shares[index].state, worker.now());
            }
        };
        let only_http1 = choice.only_http1;
        let connect = |index: usize| {
            let (pool, place) =
                (endpoints.pools[index].clone(), endpoints.begin_connection(index, place.take()));
            async move {
                let place = place.map_err(io::Error::other)?;
                pool.connect((worker, own), || race.accepted.set(Some(index)), place, only_http1).await
            }
        };
        let (index, connection) = race.run(&order, worker.timer(), connect, failed).await?;
        if index != choice.index && !choice.move_to(index) {
            race.failed.set(Some((index, io::Error::other(Busy))));
            return None;
        }
        Some(connection)
    }

    fn follow_or_fail(&self, choice: &mut Choice, worker: &Worker, race: &Race) -> Option<()> {
        let has_place = self.follow(choice, worker.now());
        if !has_place {
            race.failed.set(Some((choice.index, io::Error::other(Busy))));
        }
        has_place.then_some(())
    }

    /// Follows a change of the endpoints: the choice stays with its address, or with its target. Returns whether it has
    /// a place there.
    fn follow(&self, choice: &mut Choice, now: Instant) -> bool {
        let endpoints = self.endpoints(now);
        if Rc::ptr_eq(&endpoints, &choice.endpoints) {
            return true;
        }
        let (target, address) = (choice.endpoints.shares[choice.index].target, choice.pool().address.clone());
        let of_target = |index: &usize| endpoints.shares[*index].target == target;
        let has_address = |index: &usize| endpoints.pools[*index].address == address;
        let mut all = (0..endpoints.shares.len()).filter(of_target);
        let Some(first) = all.clone().find(has_address).or_else(|| {
            let next = self.balancer.next_fine(&endpoints).filter(of_target);
            next.or_else(|| all.next())
        }) else {
            return true;
        };
        (choice.tried, choice.held) = (Tried::default(), None);
        choice.endpoints = endpoints;
        choice.move_to(first)
    }
}

impl Choice {
    /// Changes the endpoint. Returns whether it has a place for the request.
    pub(super) fn move_to(&mut self, index: usize) -> bool {
        self.index = index;
        self.counted = None;
        self.counted = OpenRequest::new(&self.endpoints.shares[index].count);
        self.counted.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, TcpListener};
    use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
    use std::sync::{Arc, Mutex};
    use std::thread;

    use super::*;
    use crate::config::plan::UpstreamId;
    use crate::config::{MemoryInputs, load};
    use crate::metrics::Counters;
    use crate::upstream::{NameCache, Pools, Resolver, Unresolved, UpstreamTable};

    /// An observer that lets those behind it wait.
    struct Slow {
        called: SyncSender<()>,
        goes_on: Mutex<Receiver<()>>,
    }

    impl NameObserver for Slow {
        fn name_changed(&self) {
            self.called.send(()).unwrap();
            let _ = self.goes_on.lock().unwrap().recv();
        }
    }

    /// A resolver that is not to be asked.
    struct Silent;

    impl Resolver for Silent {
        fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, Unresolved> {
            Err(Unresolved::Temporary(io::ErrorKind::TimedOut.into()))
        }
    }

    #[test]
    fn the_first_answer_counts_before_the_endpoints_are_told_of_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("moving.test:{}", listener.local_addr().unwrap().port());
        let text =
            format!("http_config: {{ port: \":0\" }}\nhttp_routes: [{{ target: \"http://{target}\" }}]\n");
        let inputs = MemoryInputs::new().file("smolgate.yml", text);
        let plan = load(&["smolgate.yml".into()], &inputs).unwrap().plan;
        let names = NameCache::new(Silent);
        let name = names.get(&"moving.test".into());
        let (called, is_called) = sync_channel(1);
        let (go_on, goes_on) = channel();
        let slow: Arc<dyn NameObserver> = Arc::new(Slow { called, goes_on: Mutex::new(goes_on) });
        name.observe(Arc::downgrade(&slow));
        let table = UpstreamTable::new(&plan, &names, None).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| name.store(Ok(vec![[127, 0, 0, 1].into()]), Instant::now()));
            is_called.recv().unwrap();
            let opened = crate::worker::run(|worker| async move {
                let pools = Pools::new(&worker, 0);
                let upstream = pools.upstream(&table, UpstreamId(0), &Counters::new().worker());
                let mut choice = upstream.choose(worker.now(), None, None).unwrap();
                upstream
                    .open(&worker, &mut choice, &[], &mut Waits::default())
                    .await
                    .map(|connection| connection.address)
            });
            drop(go_on);
            assert_eq!(opened.unwrap().unwrap(), listener.local_addr().unwrap().into());
        });
    }
}
