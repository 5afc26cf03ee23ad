//! Limits of the internal API: connections and reloads at once, and their times.
//!
//! Each connection has a slot. If all are taken, the new connection gets the slot of the oldest one that waits for
//! its peer. So a peer that opens a thousand silent connections pushes out its own, and a probe that sends its
//! request at once is answered. If the process has no descriptor left, a reserved one is given up for one
//! connection at a time.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_lite::future;
use smol::channel::{Receiver, Sender, bounded};

use crate::config::plan::Secret;
use crate::internal_api::control::Control;

/// Reloads at once. One runs and the others wait.
const RELOADS_MAX: usize = 4;

/// Limits on connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// The time from the accept to the last byte of the head.
    pub head_time: Duration,
    /// The time from there to the last byte of the body.
    pub body_time: Duration,
    /// The time from the first byte of the response to the last. The duration of a reload does not count.
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

/// The state that all connections share.
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

    /// Requires another token, or none, from the next request on.
    pub(super) fn set_token(&self, token: Option<Secret>) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    pub(super) fn token(&self) -> Option<Secret> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A permit to reload. `None` if too many wait already.
    pub(super) fn begin_reload(&self) -> Option<ReloadPermit<'_>> {
        let permit = ReloadPermit(&self.reloads);
        // The permit exists before the limit is checked. So dropping it undoes the `fetch_add` in both cases.
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

/// A reserved descriptor, to accept a probe when no other descriptor is left.
#[derive(Default)]
pub(super) struct Reserve(Mutex<Option<File>>);

impl Reserve {
    fn kept(&self) -> MutexGuard<'_, Option<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the descriptor again, if it is not there and one is free.
    pub(super) fn fill(&self) {
        let mut kept = self.kept();
        if kept.is_none() {
            *kept = File::open("/dev/null").ok();
        }
    }

    /// Gives the descriptor up. Returns whether it was there.
    pub(super) fn spend(&self) -> bool {
        self.kept().take().is_some()
    }
}

/// The open connections, oldest first.
#[derive(Default)]
pub(super) struct ConnectionSlots(Mutex<SlotTable>);

#[derive(Default)]
struct SlotTable {
    entries: VecDeque<Entry>,
    next: u64,
}

impl SlotTable {
    /// Removes the oldest connection that waits for its peer. `None` if none waits.
    fn evict(&mut self) -> Option<Entry> {
        let oldest = self.entries.iter().position(|entry| !entry.held)?;
        self.entries.remove(oldest)
    }
}

struct Entry {
    id: u64,
    /// Whether it works for its peer. Then its slot cannot be taken away.
    held: bool,
    /// Dropping it tells the connection that its slot is gone.
    _keep: Sender<()>,
}

impl ConnectionSlots {
    fn table(&self) -> MutexGuard<'_, SlotTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a slot, if necessary that of the oldest connection that waits for its peer.
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

    /// Ends the oldest connection that waits for its peer, to free its descriptor.
    pub(super) fn evict(&self) {
        self.table().evict();
    }

    fn hold(&self, id: u64, held: bool) {
        if let Some(entry) = self.table().entries.iter_mut().find(|entry| entry.id == id) {
            entry.held = held;
        }
    }
}

/// The slot of one connection.
pub(super) struct ConnectionSlot {
    service: Arc<Service>,
    id: u64,
    evicted: Receiver<()>,
}

impl ConnectionSlot {
    /// Returns the result of `work`, or `None` if the slot is taken away first.
    pub(super) async fn or_evicted<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let work = async { Some(work.await) };
        let evicted = async {
            // Nothing is sent, so `recv` returns when the sender is dropped.
            let _ = self.evicted.recv().await;
            None
        };
        future::or(work, evicted).await
    }

    /// Keeps the slot until the result is dropped.
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

/// Keeps a slot from being taken away.
pub(super) struct KeptSlot<'a>(&'a ConnectionSlot);

impl Drop for KeptSlot<'_> {
    fn drop(&mut self) {
        self.0.service.slots.hold(self.0.id, false);
    }
}
