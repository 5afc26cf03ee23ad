//! The idle connections of a worker. The one idle longest makes room when `max_connections` is reached.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use slab::Slab;

use super::connections::ConnectionHandle;
use crate::generation::{Permits, Told};
use crate::worker::Worker;

/// The key of no entry.
const END: usize = usize::MAX;

/// The idle connections of a worker, in the order in which they became idle. A doubly linked list in a slab: the cost
/// of adding and removing does not depend on their number.
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
    /// It is in the list: it was not told to make room yet.
    listed: bool,
}

/// Keeps a connection listed as idle until dropped.
pub(in crate::proxy) struct Idling {
    idle: Rc<Idle>,
    key: usize,
}

impl Idle {
    /// An empty list. Its connections make room, too, when another worker asks for it.
    pub fn new(worker: &Worker, permits: &Permits) -> Rc<Self> {
        let (told, asked) = permits.join();
        let list = List { entries: Slab::new(), first: END, last: END };
        let idle = Rc::new(Self { list: RefCell::new(list), told });
        let (own, worker_too, permits) = (idle.clone(), worker.clone(), permits.clone());
        let make_room_when_asked = async move {
            while asked.recv().await.is_ok() {
                if permits.are_wanted() {
                    own.make_room();
                    // Let it close before the next request for room is handled.
                    worker_too.yield_now().await;
                }
            }
        };
        worker.spawn(make_room_when_asked).detach();
        idle
    }

    /// Adds a connection that is idle from now on.
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

    /// Tells the connection that has been idle longest to drain.
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
    /// Whether the connection was told to make room. [`ConnectionHandle::make_room`] has woken its task then.
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
        // Dropped outside the borrow, because the entry may hold the last handle of a connection.
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
    fn the_connection_idle_longest_makes_room_and_is_told_once() {
        let ended = worker::run(|worker| async move {
            let (connections, idle) = (Connections::default(), Idle::new(&worker, &Permits::new(0)));
            let all: Vec<_> = (0..5).map(|_| connections.register(worker.now())).collect();
            let mut idling: Vec<_> = all.iter().map(|handle| idle.register(handle, worker.now())).collect();
            // Remove entries in the middle, at the end and at the front; add one of them again.
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
