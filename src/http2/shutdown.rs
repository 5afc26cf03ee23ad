//! A shutdown in two steps, so that no request is lost (RFC 9113, section 6.8).
//!
//! ```text
//! shut_down ---> GOAWAY(2^31-1), PING ---> the peer's answer, or a second ---> GOAWAY(last stream)
//!                streams still begin                                           new ones are refused
//! ```

use std::time::Instant;

use super::connection::{Connection, Role, Shutdown};
use super::error::ErrorCode;
use super::frame;
use super::window::WINDOW_BYTES_MAX;

/// The highest number of a stream. It is that of a GOAWAY that refuses nothing yet.
const LAST_OF_ALL: u32 = WINDOW_BYTES_MAX;

/// The payload of the PING between the two steps.
pub(super) const SHUTDOWN_PING: [u8; 8] = *b"shutdown";

impl Connection {
    /// Begins a shutdown. A client opens no more streams from here on.
    pub fn shut_down(&mut self, now: Instant, out: &mut Vec<u8>) {
        if self.shutdown != Shutdown::No {
            return;
        }
        self.shutdown = Shutdown::Announced(now);
        if self.role == Role::Client {
            return self.finish_shutdown(out);
        }
        frame::go_away(out, LAST_OF_ALL, ErrorCode::NoError, "");
        frame::ping(out, &SHUTDOWN_PING, false);
    }

    /// Refuses streams from now on, those on their way too. Their requests are not processed, so the peer may send them
    /// again.
    pub fn shut_down_at_once(&mut self, out: &mut Vec<u8>) {
        if self.shutdown != Shutdown::Final {
            self.finish_shutdown(out);
        }
    }

    /// Sends the second GOAWAY.
    pub(super) fn finish_shutdown(&mut self, out: &mut Vec<u8>) {
        self.shutdown = Shutdown::Final;
        frame::go_away(out, self.last_peer, ErrorCode::NoError, "");
    }

    /// Whether a shutdown has begun.
    pub fn is_shut_down(&self) -> bool {
        self.shutdown != Shutdown::No
    }

    /// Whether a shutdown is complete: the last stream is closed.
    pub fn is_over(&self) -> bool {
        self.shutdown == Shutdown::Final && self.streams.len() == 0
    }
}
