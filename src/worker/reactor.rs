//! The reactor: which sockets there are, and what the kernel says of them.
//!
//! Sockets are registered once, edge-triggered, for reading and writing at the same time, and never
//! again: the kernel speaks up when something *becomes* ready, and [`Source`] remembers it until a
//! read or a write finds the end of it. So a wait for a socket costs no system call of its own.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use super::platform::{self, Wait};
use super::source::Source;

/// What one event says of a socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readiness {
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// A read that comes up short does not prove that there is nothing more: the peer has sent its last
    /// byte, or the platform cannot tell that it has not.
    pub(super) may_have_ended: bool,
    /// The connection was reset, or has ended both ways.
    pub(super) closed: bool,
}

pub(super) struct Reactor {
    poller: Arc<polling::Poller>,
    sources: RefCell<Slab<Rc<Source>>>,
    /// The most there were at the same time since [`Reactor::shrink`].
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

    /// Gives up room for more sockets than there are. How many fewer they are than they have been at the same time
    /// since the last call.
    pub(super) fn shrink(&self) -> usize {
        let mut sources = self.sources.borrow_mut();
        let fewer = self.most.replace(sources.len()) - sources.len();
        sources.shrink_to_fit();
        fewer
    }

    /// Forgets a socket.
    pub(super) fn remove(&self, key: usize, socket: impl AsFd) {
        self.sources.borrow_mut().remove(key);
        platform::remove(&self.poller, socket.as_fd());
    }

    /// Waits in the kernel until a socket is ready, another thread wakes a task, or `timeout` (`None`:
    /// for ever) has passed; then marks and wakes.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> io::Result<()> {
        let sources = &self.sources;
        self.wait.borrow_mut().wait(&self.poller, timeout, |key, readiness| {
            // A socket closed in this very turn may still have an event on its way; should its key
            // have a new user, that one sees a readiness that its next read will not confirm.
            if let Some(source) = sources.borrow().get(key) {
                source.mark(readiness);
            }
        })
    }
}
