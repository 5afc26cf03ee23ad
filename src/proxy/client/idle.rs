//! The connections of a worker that wait for their clients, and which of them makes room when there is none.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use slab::Slab;

use super::connections::ConnectionHandle;
use crate::generation::{Permits, Told};
use crate::worker::Worker;

/// No entry.
const END: usize = usize::MAX;

/// The idle connections of a worker, in the order in which they became so. To enter and to leave costs the same
/// however many they are.
pub struct Idle {
    list: RefCell<List>,
    told: Arc<Told>,
}

struct List {
    entries: Slab<Entry>,
    first: usize,
    last: usize,
}

struct Entry {
    handle: Rc<ConnectionHandle>,
    since: Instant,
    before: usize,
    after: usize,
    /// It was not asked to make room yet.
    listed: bool,
}

/// A connection is idle until this is dropped.
pub(in crate::proxy) struct Idling {
    idle: Rc<Idle>,
    key: usize,
}

impl Idle {
    /// None yet. Connections of this worker make room when another worker asks for it, too.
    pub fn new(worker: &Worker, permits: &Permits) -> Rc<Self> {
        let (told, asked) = permits.join();
        let list = List { entries: Slab::new(), first: END, last: END };
        let idle = Rc::new(Self { list: RefCell::new(list), told });
        let (own, worker_too, permits) = (idle.clone(), worker.clone(), permits.clone());
        let obey = async move {
            while asked.recv().await.is_ok() {
                if permits.are_wanted() {
                    own.make_room();
                    // It leaves before the next one is asked.
                    worker_too.yield_now().await;
                }
            }
        };
        worker.spawn(obey).detach();
        idle
    }

    /// A connection waits from now on for a request.
    pub(in crate::proxy) fn register(self: &Rc<Self>, handle: &Rc<ConnectionHandle>, now: Instant) -> Idling {
        let mut list = self.list.borrow_mut();
        let (before, handle) = (list.last, handle.clone());
        let key = list.entries.insert(Entry { handle, since: now, before, after: END, listed: true });
        list.last = key;
        match list.entries.get_mut(before) {
            Some(before) => before.after = key,
            None => {
                list.first = key;
                self.told.tell(Some(now));
            }
        }
        Idling { idle: self.clone(), key }
    }

    /// Asks the connection that has been idle longest to leave.
    fn make_room(&self) {
        let mut list = self.list.borrow_mut();
        let first = list.first;
        if let Some(handle) = list.entries.get(first).map(|entry| entry.handle.clone()) {
            self.unlist(&mut list, first);
            drop(list);
            handle.make_room();
        }
    }

    fn unlist(&self, list: &mut List, key: usize) {
        let entry = &mut list.entries[key];
        let (before, after) = (entry.before, entry.after);
        entry.listed = false;
        match list.entries.get_mut(after) {
            Some(after) => after.before = before,
            None => list.last = before,
        }
        match list.entries.get_mut(before) {
            Some(before) => before.after = after,
            None => {
                list.first = after;
                self.told.tell(list.entries.get(after).map(|first| first.since));
            }
        }
    }
}

impl Idling {
    /// Whether the connection was asked to make room. Its task was woken then, by [`ConnectionHandle::make_room`].
    pub(super) fn must_make_room(&self) -> bool {
        !self.idle.list.borrow().entries[self.key].listed
    }
}

impl Drop for Idling {
    fn drop(&mut self) {
        let mut list = self.idle.list.borrow_mut();
        if list.entries[self.key].listed {
            self.idle.unlist(&mut list, self.key);
        }
        let entry = list.entries.remove(self.key);
        // Only now, outside the borrow: its guest may be the last of a connection.
        drop(list);
        drop(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::super::connections::Connections;
    use super::*;
    use crate::worker;

    #[test]
    fn the_one_that_has_been_idle_longest_makes_room_and_is_asked_once() {
        let ended = worker::run(|worker| async move {
            let (connections, idle) = (Connections::default(), Idle::new(&worker, &Permits::new(0)));
            let all: Vec<_> = (0..5).map(|_| connections.register(worker.now())).collect();
            let mut idling: Vec<_> = all.iter().map(|handle| idle.register(handle, worker.now())).collect();
            // In the middle, at the end, and at the front; one of them comes back.
            idling.remove(2);
            idling.remove(3);
            idling.remove(0);
            idling.push(idle.register(&all[0], worker.now()));
            let asked = || all.iter().map(|handle| handle.is_draining()).collect::<Vec<_>>();
            idle.make_room();
            assert_eq!(asked(), [false, true, false, false, false]);
            idle.make_room();
            assert_eq!(asked(), [false, true, false, true, false]);
            idle.make_room();
            assert_eq!(asked(), [true, true, false, true, false]);
            idle.make_room();
            drop(idling);
            idle.make_room();
            assert_eq!(asked(), [true, true, false, true, false]);
            assert!(idle.list.borrow().entries.is_empty());
        });
        ended.unwrap();
    }
}
