//! Windows of flow control (RFC 9113, section 5.2), and the budget from which a worker lets them grow.

use std::cell::Cell;
use std::rc::Rc;

use super::frame::PAYLOAD_BYTES_MAX;

/// The window that each stream and each connection begins with (RFC 9113, section 6.9.2), in bytes. No setting
/// changes ours: a client that has not read SETTINGS yet could not know it.
pub const FIRST_WINDOW_BYTES: u32 = 65_535;

/// The largest window (RFC 9113, section 6.9.1).
pub(super) const WINDOW_BYTES_MAX: u32 = 0x7fff_ffff;

/// Limit on the window of a stream, in bytes. It carries 80 MB/s at a round trip of 50 ms.
pub const STREAM_WINDOW_BYTES_MAX: u32 = 4 * 1024 * 1024;

/// Limit on the window of a connection whose data are read at once, in bytes.
pub const CONNECTION_WINDOW_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// Limit on the window of a connection while most of it lies unread, in bytes. So one upload that is stuck does not
/// stop the others at once, and a peer cannot fill all memory with it.
pub const UNREAD_WINDOW_BYTES_MAX: u32 = 1024 * 1024;

/// The smallest increment that is worth a frame, in bytes.
const CREDIT_BYTES_MIN: u32 = 4096;

/// The bytes that a worker lends to windows beyond their first 65,535.
#[derive(Clone, Debug)]
pub struct WindowBudget(Rc<Cell<u32>>);

impl WindowBudget {
    /// A budget of `bytes`.
    pub fn new(bytes: u32) -> WindowBudget {
        WindowBudget(Rc::new(Cell::new(bytes)))
    }

    /// Bytes that nothing has borrowed.
    pub fn left(&self) -> u32 {
        self.0.get()
    }

    /// Lends `bytes`, or nothing.
    fn lend(&self, bytes: u32) -> bool {
        let left = self.0.get().checked_sub(bytes);
        left.inspect(|left| self.0.set(*left)).is_some()
    }

    fn take_back(&self, bytes: u32) {
        self.0.set(self.0.get() + bytes);
    }
}

/// A window that limits the peer.
#[derive(Debug)]
pub(super) struct ReceiveWindow {
    /// The size: bytes that may be on the way, unread, or read and not yet credited.
    size: u32,
    /// Bytes that the peer may still send.
    left: u32,
    /// Bytes that came and that the application has not taken.
    unread: u32,
    /// Whether the peer had less than a frame left. Then the window may be the brake.
    was_used_up: bool,
}

impl ReceiveWindow {
    pub(super) fn new() -> ReceiveWindow {
        let size = FIRST_WINDOW_BYTES;
        ReceiveWindow { size, left: size, unread: 0, was_used_up: false }
    }

    /// Counts a frame of `bytes`. `false`: the peer may not send so much.
    pub(super) fn take(&mut self, bytes: u32) -> bool {
        let Some(left) = self.left.checked_sub(bytes) else { return false };
        self.left = left;
        self.was_used_up |= left < PAYLOAD_BYTES_MAX as u32;
        true
    }

    /// Counts `bytes` of a frame that was taken as unread.
    pub(super) fn hold(&mut self, bytes: u32) {
        self.unread += bytes;
    }

    /// Counts `bytes` as read, at most as many as are unread.
    pub(super) fn release(&mut self, bytes: u32) {
        self.unread -= bytes.min(self.unread);
    }

    pub(super) fn unread(&self) -> u32 {
        self.unread
    }

    /// The increment to announce, if it is at least half of the bytes that the peer could have. Unread data of
    /// another stream do not count, because they may never be read.
    pub(super) fn credit(&mut self) -> Option<u32> {
        let credit = self.size - self.left - self.unread;
        if credit < self.left.max(CREDIT_BYTES_MIN) {
            return None;
        }
        self.left += credit;
        self.was_used_up = self.left < PAYLOAD_BYTES_MAX as u32;
        Some(credit)
    }

    /// Doubles the window of a stream if it was the brake: the peer used it up, and everything is read.
    pub(super) fn grow_stream(&mut self, budget: &WindowBudget) {
        if self.was_used_up && self.unread == 0 {
            self.double(STREAM_WINDOW_BYTES_MAX, budget);
        }
    }

    /// Doubles the window of a connection if the peer used it up.
    pub(super) fn grow_connection(&mut self, budget: &WindowBudget) {
        let is_read = self.unread <= self.size / 2;
        let most = if is_read { CONNECTION_WINDOW_BYTES_MAX } else { UNREAD_WINDOW_BYTES_MAX };
        if self.was_used_up {
            self.double(most, budget);
        }
    }

    /// Opens the window as far as the protocol allows. Only the windows of streams limit the peer then.
    pub(super) fn open_fully(&mut self) -> u32 {
        let more = WINDOW_BYTES_MAX - self.size;
        self.size = WINDOW_BYTES_MAX;
        self.left += more;
        more
    }

    fn double(&mut self, most: u32, budget: &WindowBudget) {
        let more = self.size.min(most.saturating_sub(self.size));
        if more > 0 && budget.lend(more) {
            self.size += more;
            self.was_used_up = false;
        }
    }

    /// Gives back to `budget` the bytes that the window borrowed.
    pub(super) fn give_back(&mut self, budget: &WindowBudget) {
        if self.size < WINDOW_BYTES_MAX {
            budget.take_back(self.size - FIRST_WINDOW_BYTES);
        }
        self.size = FIRST_WINDOW_BYTES;
    }
}

/// A window that limits us. It is negative after the peer has made it smaller (RFC 9113, section 6.9.2).
#[derive(Debug)]
pub(super) struct SendWindow(i32);

impl SendWindow {
    /// A window of `bytes`, at most 2^31-1.
    pub(super) fn new(bytes: u32) -> SendWindow {
        SendWindow(bytes.min(WINDOW_BYTES_MAX) as i32)
    }

    /// Moves the window. `false`: it would leave the range that the protocol allows.
    pub(super) fn shift(&mut self, by: i64) -> bool {
        let moved = i32::try_from(i64::from(self.0) + by);
        moved.map(|moved| self.0 = moved).is_ok()
    }

    /// Bytes that may be sent.
    pub(super) fn left(&self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// Counts `bytes`, at most [`SendWindow::left`], as sent.
    pub(super) fn take(&mut self, bytes: usize) {
        self.0 -= bytes as i32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_comes_in_halves_of_a_window() {
        let mut window = ReceiveWindow::new();
        assert!(window.take(30_000));
        window.hold(30_000);
        assert_eq!(window.credit(), None);
        window.release(30_000);
        assert_eq!(window.credit(), None);
        assert!(window.take(5_000));
        assert_eq!(window.credit(), Some(35_000));
        assert!(!window.take(65_536));
        assert!(window.take(65_535));
    }

    #[test]
    fn a_window_that_is_the_brake_doubles_as_far_as_the_budget_goes() {
        let budget = WindowBudget::new(200_000);
        let mut window = ReceiveWindow::new();
        for size in [131_070, 262_140, 262_140] {
            let left = window.left;
            assert!(window.take(left));
            window.grow_stream(&budget);
            assert_eq!(window.size, size);
            window.credit();
        }
        assert_eq!(budget.left(), 200_000 - 196_605);
        window.give_back(&budget);
        assert_eq!(budget.left(), 200_000);
    }

    #[test]
    fn unread_data_keep_a_connection_small() {
        let budget = WindowBudget::new(u32::MAX);
        let mut window = ReceiveWindow::new();
        loop {
            let left = window.left;
            assert!(window.take(left));
            window.hold(left);
            window.grow_connection(&budget);
            if window.credit().is_none() {
                break;
            }
        }
        assert_eq!(window.unread(), 16 * FIRST_WINDOW_BYTES);
        assert!(window.unread() <= UNREAD_WINDOW_BYTES_MAX);
    }

    #[test]
    fn a_stream_whose_data_lie_unread_does_not_grow() {
        let budget = WindowBudget::new(u32::MAX);
        let mut window = ReceiveWindow::new();
        assert!(window.take(65_535));
        window.hold(65_535);
        window.grow_stream(&budget);
        assert_eq!((window.size, window.credit()), (65_535, None));
    }

    #[test]
    fn a_send_window_may_be_negative_and_never_overflows() {
        let mut window = SendWindow::new(10);
        window.take(10);
        assert!(window.shift(-50));
        assert_eq!(window.left(), 0);
        assert!(window.shift(51));
        assert_eq!(window.left(), 1);
        assert!(!window.shift(i64::from(WINDOW_BYTES_MAX)));
        assert!(window.shift(i64::from(WINDOW_BYTES_MAX) - 1));
    }
}
