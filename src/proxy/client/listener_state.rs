//! What a client has of the address that it came in by.

use std::cell::RefCell;
use std::rc::Rc;

use super::connections::{ConnectionHandle, Connections};
use super::idle::{Idle, Idling};
use crate::generation::ListenerSnapshot;

/// What is served at an address now, and its connections.
pub(in crate::proxy) struct ListenerState {
    snapshot: RefCell<Rc<ListenerSnapshot>>,
    pub(in crate::proxy) connections: Connections,
    /// Those of this worker that wait for a request.
    idle: Rc<Idle>,
}

impl ListenerState {
    pub(in crate::proxy) fn new(snapshot: Rc<ListenerSnapshot>, idle: Rc<Idle>) -> Self {
        Self { snapshot: RefCell::new(snapshot), connections: Connections::default(), idle }
    }

    /// What is served here now.
    pub(in crate::proxy) fn snapshot(&self) -> Rc<ListenerSnapshot> {
        self.snapshot.borrow().clone()
    }

    /// A connection of this address waits for a request until what this returns is dropped.
    pub(in crate::proxy) fn idle(&self, handle: &Rc<ConnectionHandle>) -> Idling {
        self.idle.register(handle, self.snapshot.borrow().worker().now())
    }

    /// Serves another site from the next request on.
    pub(in crate::proxy) fn install(&self, snapshot: Rc<ListenerSnapshot>) {
        self.connections.reload(&snapshot);
        *self.snapshot.borrow_mut() = snapshot;
    }
}
