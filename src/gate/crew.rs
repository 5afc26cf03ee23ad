//! The workers: threads that take orders.

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use smol::channel::{Receiver, Sender, bounded, unbounded};

use super::bound::{DoorKey, NewSockets, doors};
use crate::http::FieldTable;
use crate::log::Counters;
use crate::proxy::{Clock, Door, Idle, Lease, Permits, Site, Upstreams, WorkerState, handshake_slots};
use crate::upstream::Book;
use crate::worker::{self, Task, Worker};

/// The workers of a gate.
pub(super) struct Crew {
    workers: Vec<(Sender<Order>, JoinHandle<io::Result<()>>)>,
}

/// What a worker is told. It answers when it is done.
enum Order {
    /// Serve this generation: keep the doors it has, open those it brings sockets for, close the rest.
    Install { generation: Lease, sockets: HashMap<DoorKey, TcpListener>, done: Sender<io::Result<()>> },
    /// Say that it hears.
    Answer { done: Sender<()> },
    /// Close every door, wait for the guests, and end.
    Leave { patience: Duration },
}

impl Crew {
    /// Starts `count` workers. They have no doors yet.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(super) fn start(count: usize, counters: &Arc<Counters>, permits: &Permits) -> io::Result<Self> {
        let mut crew = Self { workers: Vec::with_capacity(count) };
        for number in 0..count {
            let (orders, inbox) = unbounded();
            let (counters, permits) = (counters.clone(), permits.clone());
            let work = move || worker::run(move |worker| obey(worker, inbox, counters, permits));
            let thread = std::thread::Builder::new().name(format!("worker-{number}")).spawn(work)?;
            crew.workers.push((orders, thread));
        }
        Ok(crew)
    }

    /// By which they are asked whether they hear.
    pub(super) fn roll_call(&self) -> RollCall {
        RollCall(self.workers.iter().map(|(orders, _)| orders.clone()).collect())
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.workers.len()
    }

    /// Gives all of them a generation, and waits until all of them serve it.
    ///
    /// # Errors
    /// When a worker cannot open a door, or has ended.
    pub(super) async fn install(&self, generation: &Lease, mut sockets: NewSockets) -> io::Result<()> {
        let (done, answers) = bounded(self.count());
        for (orders, _) in &self.workers {
            let sockets =
                sockets.iter_mut().filter_map(|(door, (_, sockets))| Some((door.clone(), sockets.pop()?)));
            let order = Order::Install {
                generation: generation.clone(),
                sockets: sockets.collect(),
                done: done.clone(),
            };
            orders.send(order).await.map_err(|_| io::Error::other("a worker has ended"))?;
        }
        drop(done);
        for _ in &self.workers {
            answers.recv().await.map_err(|_| io::Error::other("a worker has ended"))??;
        }
        Ok(())
    }

    /// Lets all of them drain for at most `patience`, and waits for their end.
    pub(super) async fn leave(self, patience: Duration) {
        for (orders, _) in &self.workers {
            // A worker that has ended need not be told to.
            let _ = orders.send(Order::Leave { patience }).await;
        }
        for (_, thread) in self.workers {
            match smol::unblock(move || thread.join()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a worker's reactor failed"),
                Err(_) => tracing::error!("a worker panicked"),
            }
        }
    }
}

/// How long a worker may take to say that it hears. It does so between two tasks: longer than this it takes only
/// where it does nothing else for its connections either.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// Asks workers whether they hear.
#[derive(Clone, Default)]
pub(super) struct RollCall(Vec<Sender<Order>>);

impl RollCall {
    /// Whether all of them answer, soon. One that has been told to leave does not.
    pub(super) async fn all_answer(&self) -> bool {
        let (done, answers) = bounded(self.0.len().max(1));
        for orders in &self.0 {
            if orders.try_send(Order::Answer { done: done.clone() }).is_err() {
                return false;
            }
        }
        drop(done);
        let all = async {
            for _ in &self.0 {
                if answers.recv().await.is_err() {
                    return false;
                }
            }
            true
        };
        let too_late = async {
            smol::Timer::after(ANSWER_TIME).await;
            false
        };
        futures_lite::future::or(all, too_late).await
    }
}

/// What a worker does all its life.
async fn obey(worker: Worker, inbox: Receiver<Order>, counters: Arc<Counters>, permits: Permits) {
    let state = Rc::new(WorkerState {
        book: Book::new(&worker),
        worker: worker.clone(),
        counters: counters.worker(),
        table: FieldTable::new().into(),
        clock: Clock::default(),
        idle: Idle::new(&worker, &permits),
        permits,
        handshakes: handshake_slots(),
    });
    let mut open: HashMap<DoorKey, Rc<Door>> = HashMap::new();
    let mut closing: Vec<Task<()>> = Vec::new();
    // The channel closes when the gate is gone: then there is nobody to serve for.
    while let Ok(order) = inbox.recv().await {
        closing.retain(|task| !task.is_finished());
        match order {
            Order::Install { generation, sockets, done } => {
                let (result, gone) = install(&state, &mut open, generation, sockets);
                closing.extend(gone.into_iter().map(|(door, patience)| close(&worker, door, patience)));
                // Who gave the order may have given up on the answer.
                let _ = done.send(result).await;
            }
            // That they have given up asking is no concern of the worker's.
            Order::Answer { done } => _ = done.try_send(()),
            Order::Leave { patience } => {
                closing.extend(open.drain().map(|(_, door)| close(&worker, door, patience)));
                break;
            }
        }
    }
    for task in closing {
        task.await;
    }
}

fn close(worker: &Worker, door: Rc<Door>, patience: Duration) -> Task<()> {
    worker.spawn(async move { door.close(patience).await })
}

/// Doors that a generation does not have, and for how long their guests may stay.
type Gone = Vec<(Rc<Door>, Duration)>;

fn install(
    state: &Rc<WorkerState>,
    open: &mut HashMap<DoorKey, Rc<Door>>,
    generation: Lease,
    mut sockets: HashMap<DoorKey, TcpListener>,
) -> (io::Result<()>, Gone) {
    let upstreams = Rc::new(Upstreams::new(state.clone(), generation.clone()));
    let mut sites: HashMap<usize, Rc<Site>> = HashMap::new();
    let mut stay = HashMap::new();
    let mut result = Ok(());
    for (key, index) in doors(&generation.plan) {
        let site = sites.entry(index).or_insert_with(|| Rc::new(Site::new(&upstreams, index))).clone();
        match (open.remove(&key), sockets.remove(&key)) {
            (Some(door), _) => {
                door.install(site);
                stay.insert(key, door);
            }
            (None, Some(socket)) => match Door::open(site, socket) {
                Ok(door) => drop(stay.insert(key, door)),
                Err(error) => result = Err(error),
            },
            (None, None) => {}
        }
    }
    let gone = open.drain().map(|(_, door)| {
        let patience = door.patience();
        (door, patience)
    });
    let gone = gone.collect();
    *open = stay;
    (result, gone)
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::*;

    #[test]
    fn a_worker_that_does_not_answer_is_noticed() {
        let (hears, inbox) = unbounded();
        let answering = std::thread::spawn(move || {
            while let Ok(Order::Answer { done }) = inbox.recv_blocking() {
                done.try_send(()).unwrap();
            }
        });
        let (stuck, unread) = unbounded();
        let (ended, gone) = unbounded();
        drop(gone);
        let all_answer = |of: &[&Sender<Order>]| {
            block_on(RollCall(of.iter().map(|orders| (*orders).clone()).collect()).all_answer())
        };
        assert!(all_answer(&[&hears, &hears]));
        assert!(!all_answer(&[&hears, &ended]));
        assert!(!all_answer(&[&stuck, &hears]));
        // One that ends instead of answering.
        let ending = std::thread::spawn(move || drop(unread));
        assert!(!all_answer(&[&stuck, &hears]));
        ending.join().unwrap();
        drop(hears);
        answering.join().unwrap();
    }

    #[test]
    fn workers_answer_until_they_have_left() {
        let crew = Crew::start(2, &Counters::new(), &Permits::new(1)).unwrap();
        let roll_call = crew.roll_call();
        assert!(block_on(roll_call.all_answer()));
        block_on(crew.leave(Duration::ZERO));
        assert!(!block_on(roll_call.all_answer()));
    }
}
