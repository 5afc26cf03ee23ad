//! Connections of HTTP/2 of one worker to one endpoint, each shared by many requests.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use event_listener::{Event, EventListener};

use super::connection::TargetConnection;
use crate::config::plan::TargetAddress;
use crate::mux::{SharedConnection, Timeouts, Transport};
use crate::tls::Input;
use crate::upstream::limits::OpenConnection;

/// The time for a frame of a target that has begun.
const FRAME_TIME: Duration = Duration::from_secs(60);

/// The connections to one endpoint. The fullest one that has room gets the next stream, so that the others become idle
/// and are closed.
#[derive(Default)]
pub(super) struct SharedConnections {
    list: RefCell<Vec<Member>>,
    /// A connection is being opened. Requests wait for it, and open no further ones.
    is_opening: Cell<bool>,
    opened: Event,
}

struct Member {
    connection: SharedConnection,
    /// Counts the connection, if their number has a limit.
    place: Option<OpenConnection>,
}

/// The right to open a connection.
pub(super) struct Opening<'a>(&'a SharedConnections);

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.is_opening.set(false);
        self.0.opened.notify(usize::MAX);
    }
}

impl SharedConnections {
    /// Opens a stream on the fullest connection that has room. `reused` is whether a request that loses the connection may
    /// be sent again.
    pub(super) fn take(
        &self,
        address: Option<&TargetAddress>,
        reused: bool,
    ) -> Option<Box<TargetConnection>> {
        let list = self.list.borrow();
        let with_room = list.iter().filter(|member| member.connection.has_room());
        let fullest = with_room.max_by_key(|member| member.connection.streams())?;
        target_connection(&fullest.connection, address?.clone(), reused)
    }

    /// The right to open a connection, or the end of an opening that another request has begun.
    pub(super) fn open(&self) -> Result<Opening<'_>, EventListener> {
        if self.is_opening.replace(true) { Err(self.opened.listen()) } else { Ok(Opening(self)) }
    }

    /// Adds a new connection. Returns the first stream on it.
    pub(super) fn add(
        &self,
        connection: SharedConnection,
        address: TargetAddress,
        place: Option<OpenConnection>,
    ) -> Option<Box<TargetConnection>> {
        let first = target_connection(&connection, address, false);
        self.list.borrow_mut().push(Member { connection, place });
        first
    }

    pub(super) fn has_room(&self) -> bool {
        self.list.borrow().iter().any(|member| member.connection.has_room())
    }

    /// Forgets connections that take no more streams, and closes those without streams whose places are wanted. Returns
    /// whether any is left.
    pub(super) fn sweep(&self) -> bool {
        self.retain(|member| {
            let is_wanted = member.place.as_ref().is_some_and(OpenConnection::is_wanted);
            !(is_wanted && member.connection.streams() == 0)
        });
        !self.list.borrow().is_empty()
    }

    /// Closes connections without streams, beyond the first `most`.
    pub(super) fn keep_idle(&self, most: usize) {
        let mut idle = 0;
        self.retain(|member| {
            idle += usize::from(member.connection.streams() == 0);
            member.connection.streams() > 0 || idle <= most
        });
    }

    /// Closes all connections when their streams have ended.
    pub(super) fn leave(&self) {
        self.retain(|_| false);
    }

    /// Closes a connection without streams. Returns whether there was one.
    pub(super) fn close_one(&self) -> bool {
        let mut has_closed = false;
        self.retain(|member| {
            let is_chosen = !has_closed && member.connection.streams() == 0;
            has_closed |= is_chosen;
            !is_chosen
        });
        has_closed
    }

    fn retain(&self, mut keep: impl FnMut(&Member) -> bool) {
        self.list.borrow_mut().retain(|member| {
            let is_kept = !member.connection.is_closing() && keep(member);
            if !is_kept {
                member.connection.shut_down();
            }
            is_kept
        });
    }
}

fn target_connection(
    connection: &SharedConnection,
    address: TargetAddress,
    reused: bool,
) -> Option<Box<TargetConnection>> {
    let stream = Transport::Shared(connection.stream()?);
    let input = Input::default();
    Some(Box::new(TargetConnection { stream, input, address, reused, counted: None, place: None }))
}

/// Deadlines of a connection that ends after `idle` without a stream, and whose target answers a PING within `answer`.
pub(super) fn timeouts((idle, answer): (Duration, Duration)) -> Timeouts {
    Timeouts { header: FRAME_TIME, idle, ends_with_peer: false, answer: Some(answer) }
}
