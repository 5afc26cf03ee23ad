//! The reactor: the registered sockets, and the events that the kernel reports for them.
//!
//! A socket is registered once, edge-triggered, for reading and writing together. The kernel reports when
//! something *becomes* ready. [`Source`] remembers that until a read or a write would block. So a wait for
//! a socket costs no system call of its own.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use super::platform::{self, Wait};
use super::source::Source;

pub(super) struct Reactor {
    poller: Arc<polling::Poller>,
    sources: RefCell<Slab<Rc<Source>>>,
    /// The largest number of sockets at the same time since [`Reactor::shrink`].
    most: Cell<usize>,
    wait: RefCell<Wait>,
}

impl Reactor {
    pub(super) fn new() -> io::Result<Self> {
        let poller = Arc::new(polling::Poller::new()?);
        Ok(Self {
            poller,
            sources: RefCell::default(),
            most: Cell::default(),
            wait: RefCell::new(Wait::new()),
        })
    }

    pub(super) fn poller(&self) -> &Arc<polling::Poller> {
        &self.poller
    }

    /// Registers a socket. The caller calls [`Reactor::remove`] before it closes it.
    pub(super) fn add(&self, socket: impl AsFd) -> io::Result<(usize, Rc<Source>)> {
        let source = Rc::new(Source::default());
        let key = self.sources.borrow_mut().insert(source.clone());
        if let Err(error) = platform::add(&self.poller, socket.as_fd(), key) {
            self.sources.borrow_mut().remove(key);
            return Err(error);
        }
        self.most.set(self.most.get().max(self.sources.borrow().len()));
        Ok((key, source))
    }

    /// Frees room for more sockets than there are. Returns by how many their number has fallen since its
    /// maximum after the last call.
    pub(super) fn shrink(&self) -> usize {
        let mut sources = self.sources.borrow_mut();
        let fewer = self.most.replace(sources.len()) - sources.len();
        sources.shrink_to_fit();
        fewer
    }

    /// Removes a socket.
    pub(super) fn remove(&self, key: usize, socket: impl AsFd) {
        self.sources.borrow_mut().remove(key);
        platform::remove(&self.poller, socket.as_fd());
    }

    /// Waits in the kernel until a socket is ready, another thread wakes a task, or `timeout` has passed
    /// (`None` is for ever). Then marks the sockets and wakes their tasks.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> io::Result<()> {
        let sources = &self.sources;
        self.wait.borrow_mut().wait(&self.poller, timeout, |key, readiness| {
            // A socket that was closed in this turn may still have an event on its way. If a new socket has
            // its key by then, it gets a false readiness, and its next read or write would block and clears
            // it.
            if let Some(source) = sources.borrow().get(key) {
                source.mark(readiness);
            }
        })
    }
}
