//! The part of a listener that its clients hold.

use std::cell::RefCell;
use std::rc::Rc;

use super::connections::{ConnectionHandle, Connections};
use super::idle::{Idle, Idling};
use super::sole_peer::SolePeer;
use crate::generation::ListenerSnapshot;

/// The snapshot that a listener serves now, and its connections.
pub(in crate::proxy) struct ListenerState {
    snapshot: RefCell<Rc<ListenerSnapshot>>,
    pub(in crate::proxy) connections: Connections,
    /// The idle connections of this worker.
    idle: Rc<Idle>,
    pub(in crate::proxy) sole_peer: SolePeer,
}

impl ListenerState {
    pub(in crate::proxy) fn new(snapshot: Rc<ListenerSnapshot>, idle: Rc<Idle>) -> Self {
        Self {
            snapshot: RefCell::new(snapshot),
            connections: Connections::default(),
            idle,
            sole_peer: SolePeer::default(),
        }
    }

    /// The snapshot in force. Take it for each request, and release it soon: it keeps its generation in memory.
    pub(in crate::proxy) fn snapshot(&self) -> Rc<ListenerSnapshot> {
        self.snapshot.borrow().clone()
    }

    /// Lists a connection as idle until the result is dropped.
    pub(in crate::proxy) fn idle(&self, handle: &Rc<ConnectionHandle>) -> Idling {
        self.idle.register(handle, self.snapshot.borrow().worker().now())
    }

    /// Serves `snapshot` from the next request on.
    pub(in crate::proxy) fn install(&self, snapshot: Rc<ListenerSnapshot>) {
        self.connections.reload(&snapshot);
        *self.snapshot.borrow_mut() = snapshot;
    }
}
