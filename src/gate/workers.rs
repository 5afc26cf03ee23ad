//! The workers: threads that carry out commands.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use smol::channel::{Receiver, Sender, bounded, unbounded};

use super::sockets::{ListenKey, NewSockets, listen_keys};
use crate::generation::{DateHeader, GenerationHandle, ListenerSnapshot, Permits, Upstreams, WorkerState};
use crate::http::FieldTable;
use crate::metrics::Counters;
use crate::proxy::{ActiveListener, Idle, handshake_limit};
use crate::upstream::Pools;
use crate::worker::{self, Listener, Task, Worker};

/// The workers of a gate.
pub(super) struct Workers {
    threads: Vec<Member>,
}

/// One worker, as the control plane sees it.
struct Member {
    commands: Sender<Command>,
    thread: JoinHandle<io::Result<()>>,
    /// Closes when the thread has done everything.
    ended: Receiver<Infallible>,
}

/// A listening socket for another process, with the name of its listener if that is on any free port.
pub(super) type SharedSocket = (Option<Arc<str>>, OwnedFd);

/// A command to a worker.
enum Command {
    /// Prepare to accept from these sockets, and from no others, with the next generation. `done` receives the
    /// result.
    Prepare { sockets: HashMap<ListenKey, TcpListener>, done: Sender<io::Result<()>> },
    /// Serve this generation: keep the listeners that it still has, open the prepared ones, close the rest. Then
    /// drop `done`.
    Install { generation: GenerationHandle, done: Sender<Infallible> },
    /// Answer, to show that the worker is not stuck.
    Answer { done: Sender<()> },
    /// Send another handle of each listening socket.
    Share { sockets: Sender<io::Result<SharedSocket>> },
    /// Close every listener, wait until its connections have ended, and end. With `is_shared`, another process goes on
    /// with the sockets.
    Leave { is_shared: bool },
}

impl Workers {
    /// Starts `count` workers. They have no listeners yet.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(super) fn start(count: usize, counters: &Arc<Counters>, permits: &Permits) -> io::Result<Self> {
        let mut workers = Self { threads: Vec::with_capacity(count) };
        for number in 0..count {
            let (commands, receiver) = unbounded();
            let (end, ended) = bounded(1);
            let (counters, permits) = (counters.clone(), permits.clone());
            let work = move || {
                let _end = end;
                worker::run(move |worker| worker_main(worker, number, receiver, counters, permits))
            };
            let thread = std::thread::Builder::new().name(format!("worker-{number}")).spawn(work)?;
            workers.threads.push(Member { commands, thread, ended });
        }
        Ok(workers)
    }

    /// Asks all workers whether they answer.
    pub(super) fn roll_call(&self) -> RollCall {
        RollCall(self.threads.iter().map(|worker| worker.commands.clone()).collect())
    }

    /// The number of workers.
    pub(super) fn count(&self) -> usize {
        self.threads.len()
    }

    /// Gives each worker its sockets for the next generation. Workers accept nothing from them until that is
    /// installed.
    ///
    /// # Errors
    /// A worker cannot register a socket, or has ended. Then no worker keeps a new socket.
    pub(super) async fn prepare(&self, sockets: NewSockets) -> io::Result<()> {
        let prepared = self.hand_out(sockets).await;
        if prepared.is_err() {
            // The first error is the one to report.
            let _ = self.hand_out(NewSockets::new()).await;
        }
        prepared
    }

    async fn hand_out(&self, mut sockets: NewSockets) -> io::Result<()> {
        let has_ended = || io::Error::other("a worker has ended");
        let (done, answers) = bounded(self.count());
        for worker in &self.threads {
            let own = sockets
                .iter_mut()
                .filter_map(|(listen_key, (_, all))| Some((listen_key.clone(), all.pop()?)));
            let command = Command::Prepare { sockets: own.collect(), done: done.clone() };
            worker.commands.try_send(command).map_err(|_| has_ended())?;
        }
        drop(done);
        for _ in &self.threads {
            answers.recv().await.map_err(|_| has_ended())??;
        }
        Ok(())
    }

    /// Gives all workers a generation, and waits until all of them serve it. Nothing here can fail: a worker that
    /// has ended serves nothing in any case.
    pub(super) async fn install(&self, generation: &GenerationHandle) {
        let (done, installed) = bounded::<Infallible>(1);
        for worker in &self.threads {
            let command = Command::Install { generation: generation.clone(), done: done.clone() };
            if worker.commands.try_send(command).is_err() {
                tracing::error!("a worker has ended");
            }
        }
        drop(done);
        // Nothing can be sent, so `recv` returns when every worker has dropped its sender.
        let _ = installed.recv().await;
    }

    /// Other handles of all listening sockets.
    pub(super) async fn share(&self) -> io::Result<Vec<SharedSocket>> {
        let (sockets, shared) = unbounded();
        for worker in &self.threads {
            // Sending fails if the worker has ended. Then it has no socket.
            let _ = worker.commands.try_send(Command::Share { sockets: sockets.clone() });
        }
        drop(sockets);
        let mut all = Vec::new();
        while let Ok(socket) = shared.recv().await {
            all.push(socket?);
        }
        Ok(all)
    }

    /// Tells all workers to drain and end. With `is_shared`, another process goes on with their sockets.
    pub(super) fn leave(&self, is_shared: bool) {
        for worker in &self.threads {
            // Sending fails if the worker has ended, which is fine.
            let _ = worker.commands.try_send(Command::Leave { is_shared });
        }
    }

    /// Waits until all workers have ended. May be dropped and called again.
    pub(super) async fn ended(&mut self) {
        while let Some(worker) = self.threads.last() {
            // Nothing can be sent, so `recv` returns when the channel closes.
            let _ = worker.ended.recv().await;
            match self.threads.pop().map(|worker| worker.thread.join()) {
                None | Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => tracing::error!(%error, "a worker's reactor failed"),
                Some(Err(_)) => tracing::error!("a worker panicked"),
            }
        }
    }
}

/// The time in which a worker must answer. It answers between two tasks. A worker that takes longer does nothing
/// for its connections either.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// Asks workers whether they answer.
#[derive(Clone, Default)]
pub(super) struct RollCall(Vec<Sender<Command>>);

impl RollCall {
    /// Whether all workers answer within [`ANSWER_TIME`]. A worker that was told to leave does not answer.
    pub(super) async fn all_answer(&self) -> bool {
        let (done, answers) = bounded(self.0.len().max(1));
        for commands in &self.0 {
            if commands.try_send(Command::Answer { done: done.clone() }).is_err() {
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

/// The life of a worker.
async fn worker_main(
    worker: Worker,
    number: usize,
    receiver: Receiver<Command>,
    counters: Arc<Counters>,
    permits: Permits,
) {
    let idle = Idle::new(&worker, &permits);
    let pools = Pools::new(&worker, number);
    let state = Rc::new(WorkerState {
        streams: pools.space().clone(),
        pools,
        worker: worker.clone(),
        counters: counters.worker(),
        plugin_links: Default::default(),
        table: FieldTable::new().into(),
        date: DateHeader::default(),
        listening: Default::default(),
        permits,
        handshakes: handshake_limit(),
    });
    let mut open: HashMap<ListenKey, Rc<ActiveListener>> = HashMap::new();
    let mut prepared: HashMap<ListenKey, Listener> = HashMap::new();
    let mut closing: Vec<Task<()>> = Vec::new();
    let close = |listener: Rc<ActiveListener>| worker.spawn(async move { listener.close().await });
    // The channel closes when the gate is gone. Then there is no reason to go on.
    while let Ok(command) = receiver.recv().await {
        closing.retain(|task| !task.is_finished());
        match command {
            Command::Prepare { sockets, done } => {
                let ready = |(listener, socket)| Ok((listener, Listener::new(&worker, socket)?));
                let ready: io::Result<_> = sockets.into_iter().map(ready).collect();
                let result = ready.map(|ready| prepared = ready);
                // Sending fails if the reload was given up, which is fine.
                let _ = done.send(result).await;
            }
            Command::Install { generation, done } => {
                let gone = install(&state, &idle, &mut open, generation, std::mem::take(&mut prepared));
                closing.extend(gone.into_iter().map(close));
                drop(done);
            }
            // Sending fails if the question timed out, which is fine.
            Command::Answer { done } => _ = done.try_send(()),
            Command::Share { sockets } => {
                for (key, socket) in open.iter().filter_map(|(key, listener)| Some((key, listener.share()?)))
                {
                    // Sending fails if the question was given up, which is fine.
                    let _ = sockets.try_send(socket.map(|socket| (key.name.clone(), socket.into())));
                }
            }
            Command::Leave { is_shared } => {
                open.values().filter(|_| is_shared).for_each(|listener| listener.leave_queue());
                closing.extend(open.drain().map(|(_, listener)| close(listener)));
                break;
            }
        }
    }
    for task in closing {
        task.await;
    }
}

/// Gives `generation` to the listeners. Returns the listeners that it does not have.
fn install(
    state: &Rc<WorkerState>,
    idle: &Rc<Idle>,
    open: &mut HashMap<ListenKey, Rc<ActiveListener>>,
    generation: GenerationHandle,
    mut prepared: HashMap<ListenKey, Listener>,
) -> Vec<Rc<ActiveListener>> {
    let upstreams = Rc::new(Upstreams::new(state.clone(), generation.clone()));
    let mut snapshots: HashMap<usize, Rc<ListenerSnapshot>> = HashMap::new();
    let mut stay = HashMap::new();
    for (key, index) in listen_keys(&generation.plan) {
        let snapshot = snapshots
            .entry(index)
            .or_insert_with(|| Rc::new(ListenerSnapshot::new(&upstreams, index)))
            .clone();
        match (open.remove(&key), prepared.remove(&key)) {
            (Some(listener), _) => {
                listener.install(snapshot);
                stay.insert(key, listener);
            }
            (None, Some(listener)) => {
                drop(stay.insert(key, ActiveListener::open(snapshot, idle.clone(), listener)))
            }
            (None, None) => {}
        }
    }
    state.listening.replace(stay.values().map(|listener| listener.address).collect());
    let gone = std::mem::replace(open, stay);
    gone.into_values().collect()
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::*;

    #[test]
    fn a_worker_that_does_not_answer_is_noticed() {
        let (hears, receiver) = unbounded();
        let answering = std::thread::spawn(move || {
            while let Ok(Command::Answer { done }) = receiver.recv_blocking() {
                // Sending fails if another worker has failed already, which is fine.
                let _ = done.try_send(());
            }
        });
        let (stuck, unread) = unbounded();
        let (ended, gone) = unbounded();
        drop(gone);
        let all_answer = |of: &[&Sender<Command>]| {
            block_on(RollCall(of.iter().map(|commands| (*commands).clone()).collect()).all_answer())
        };
        assert!(all_answer(&[&hears, &hears]));
        assert!(!all_answer(&[&hears, &ended]));
        assert!(!all_answer(&[&stuck, &hears]));
        // A worker that ends without an answer.
        let ending = std::thread::spawn(move || drop(unread));
        assert!(!all_answer(&[&stuck, &hears]));
        ending.join().unwrap();
        drop(hears);
        answering.join().unwrap();
    }

    #[test]
    fn workers_answer_until_they_have_left() {
        let mut workers = Workers::start(2, &Counters::new(), &Permits::new(1)).unwrap();
        let roll_call = workers.roll_call();
        assert!(block_on(roll_call.all_answer()));
        workers.leave(false);
        block_on(workers.ended());
        assert!(!block_on(roll_call.all_answer()));
    }
}
