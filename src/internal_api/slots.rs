//! How many connections and reloads the internal API has at once, and what they may take.
//!
//! Each connection has a slot. When all are taken, the oldest connection that waits for its peer loses its slot to
//! the new one: a peer that opens a thousand connections and says nothing pushes out its own, and a probe that
//! speaks at once is answered. So it is too when the process has no descriptor left: one is kept in reserve, and
//! given up for one connection at a time.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_lite::future;
use smol::channel::{Receiver, Sender, bounded};

use crate::config::plan::Secret;
use crate::internal_api::control::Control;

/// Reloads asked for at once; one runs, the others wait, and more would be a flood.
const RELOADS_MAX: usize = 4;

/// What one peer, or many, may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// From the accept to the last byte of the head.
    pub head_time: Duration,
    /// From there to the last byte of the body.
    pub body_time: Duration,
    /// From the first byte of the answer to its last. How long a reload takes is not in it.
    pub answer_time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 64,
            head_time: Duration::from_secs(5),
            body_time: Duration::from_secs(5),
            answer_time: Duration::from_secs(10),
        }
    }
}

/// What all connections share.
pub(super) struct Service {
    token: Mutex<Option<Secret>>,
    pub(super) control: Arc<dyn Control>,
    pub(super) limits: Limits,
    pub(super) slots: ConnectionSlots,
    pub(super) reserve: Reserve,
    reloads: AtomicUsize,
}

impl Service {
    pub(super) fn new(token: Option<Secret>, control: Arc<dyn Control>, limits: Limits) -> Service {
        Service {
            token: Mutex::new(token),
            control,
            limits,
            slots: ConnectionSlots::default(),
            reserve: Reserve::default(),
            reloads: AtomicUsize::new(0),
        }
    }

    /// Asks for another token, or for none, from the next request on.
    pub(super) fn set_token(&self, token: Option<Secret>) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    pub(super) fn token(&self) -> Option<Secret> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A turn to reload; `None` if too many wait already.
    pub(super) fn begin_reload(&self) -> Option<ReloadPermit<'_>> {
        let permit = ReloadPermit(&self.reloads);
        // The turn counts itself, so that dropping it is right in both cases.
        (self.reloads.fetch_add(1, Ordering::AcqRel) < RELOADS_MAX).then_some(permit)
    }
}

/// Held while a reload runs or waits.
pub(super) struct ReloadPermit<'a>(&'a AtomicUsize);

impl Drop for ReloadPermit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One descriptor, kept so that a probe can be accepted when there is none left.
#[derive(Default)]
pub(super) struct Reserve(Mutex<Option<File>>);

impl Reserve {
    fn kept(&self) -> MutexGuard<'_, Option<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one again, if it is not there and there is one to be had.
    pub(super) fn fill(&self) {
        let mut kept = self.kept();
        if kept.is_none() {
            *kept = File::open("/dev/null").ok();
        }
    }

    /// Gives it up. `false`: it is not there.
    pub(super) fn spend(&self) -> bool {
        self.kept().take().is_some()
    }
}

/// The connections that are there, oldest first.
#[derive(Default)]
pub(super) struct ConnectionSlots(Mutex<SlotTable>);

#[derive(Default)]
struct SlotTable {
    entries: VecDeque<Entry>,
    next: u64,
}

impl SlotTable {
    /// Takes the place of the oldest connection that waits for its peer; `None` if none does.
    fn evict(&mut self) -> Option<Entry> {
        let oldest = self.entries.iter().position(|entry| !entry.held)?;
        self.entries.remove(oldest)
    }
}

struct Entry {
    id: u64,
    /// Not to be taken away: it works for its peer.
    held: bool,
    /// Dropped to tell the connection that its place is gone.
    _keep: Sender<()>,
}

impl ConnectionSlots {
    fn table(&self) -> MutexGuard<'_, SlotTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, if need be that of the oldest connection that waits for its peer.
    pub(super) fn take(service: &Arc<Service>) -> Option<ConnectionSlot> {
        let mut table = service.slots.table();
        if table.entries.len() >= service.limits.connections {
            table.evict()?;
        }
        let (keep, evicted) = bounded(1);
        let id = table.next;
        table.next += 1;
        table.entries.push_back(Entry { id, held: false, _keep: keep });
        Some(ConnectionSlot { service: service.clone(), id, evicted })
    }

    /// Ends the oldest connection that waits for its peer, for the sake of its descriptor.
    pub(super) fn evict(&self) {
        self.table().evict();
    }

    fn hold(&self, id: u64, held: bool) {
        if let Some(entry) = self.table().entries.iter_mut().find(|entry| entry.id == id) {
            entry.held = held;
        }
    }
}

/// The place of one connection.
pub(super) struct ConnectionSlot {
    service: Arc<Service>,
    id: u64,
    evicted: Receiver<()>,
}

impl ConnectionSlot {
    /// The result of `work`, or `None` when the place is taken away first.
    pub(super) async fn or_evicted<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let work = async { Some(work.await) };
        let evicted = async {
            // Nothing is ever sent: this ends when the other end is dropped.
            let _ = self.evicted.recv().await;
            None
        };
        future::or(work, evicted).await
    }

    /// Keeps the place safe until the result is dropped.
    pub(super) fn hold(&self) -> KeptSlot<'_> {
        self.service.slots.hold(self.id, true);
        KeptSlot(self)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.service.slots.table().entries.retain(|entry| entry.id != self.id);
    }
}

/// Keeps a place safe.
pub(super) struct KeptSlot<'a>(&'a ConnectionSlot);

impl Drop for KeptSlot<'_> {
    fn drop(&mut self) {
        self.0.service.slots.hold(self.0.id, false);
    }
}
