//! The flood guard: a peer that causes work without a use pays with tokens, and loses its connection without them.
//!
//! A connection begins with [`TOKENS_MAX`] tokens. It gets back one for each stream that ends well, and one each
//! second. An ordinary client never comes near the end: it cancels now and then, and most of its streams end well.

use std::time::Instant;

use super::error::ConnectionError;

/// Tokens that a connection can hold. A browser that leaves a page of 100 pictures resets 100 streams at once.
pub const TOKENS_MAX: u32 = 200;

/// PRIORITY frames that are free, for a connection and for each stream of it. Firefox sent half a dozen at the
/// start of each connection.
pub const FREE_PRIORITIES: u32 = 100;
/// The same for each stream.
pub const FREE_PRIORITIES_PER_STREAM: u32 = 10;

/// WINDOW_UPDATE frames that are free: for a connection, for each stream, for each DATA frame that was sent.
pub const FREE_WINDOW_UPDATES: u32 = 5;
/// The same for each stream.
pub const FREE_WINDOW_UPDATES_PER_STREAM: u32 = 2;
/// The same for each DATA frame that was sent: one for the stream, one for the connection, and some to spare.
pub const FREE_WINDOW_UPDATES_PER_DATA: u32 = 20;

/// Frames that are free for each stream that we reset: so many may be on the way in a window of 64 KiB.
pub const FREE_LATE_FRAMES_PER_RESET: u32 = 1000;

/// DATA frames that a connection may force to be small, by windows of some bytes.
pub const DRIBBLES_MAX: u32 = 1000;

/// A DATA frame with fewer bytes is small if the window alone made it so.
pub const DRIBBLE_BYTES: usize = 256;

/// Limit on unused free frames. It keeps a long-lived connection from saving them up for a flood.
const FREE_MAX: u32 = 10_000;

/// The counters of one connection.
#[derive(Debug)]
pub(super) struct FloodGuard {
    tokens: u32,
    /// The time up to which tokens were given back.
    refilled: Instant,
    free_priorities: u32,
    free_window_updates: u32,
    free_late_frames: u32,
    dribbles: u32,
    /// Whether a frame of a stream came, or DATA went out, since the last frame that is free behind it.
    is_busy: bool,
}

impl FloodGuard {
    pub(super) fn new(now: Instant) -> FloodGuard {
        FloodGuard {
            tokens: TOKENS_MAX,
            refilled: now,
            free_priorities: FREE_PRIORITIES,
            free_window_updates: FREE_WINDOW_UPDATES,
            free_late_frames: 0,
            dribbles: 0,
            is_busy: true,
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// There is none left.
    pub(super) fn charge(&mut self, now: Instant, detail: &'static str) -> Result<(), ConnectionError> {
        let seconds = now.saturating_duration_since(self.refilled).as_secs();
        if seconds > 0 {
            self.refilled = now;
            self.earn(u32::try_from(seconds).unwrap_or(u32::MAX));
        }
        self.tokens = self.tokens.checked_sub(1).ok_or_else(|| ConnectionError::flood(detail))?;
        Ok(())
    }

    fn earn(&mut self, tokens: u32) {
        self.tokens = self.tokens.saturating_add(tokens).min(TOKENS_MAX);
    }

    /// A stream began.
    pub(super) fn stream_opened(&mut self) {
        self.free_priorities = (self.free_priorities + FREE_PRIORITIES_PER_STREAM).min(FREE_MAX);
        self.free_window_updates = (self.free_window_updates + FREE_WINDOW_UPDATES_PER_STREAM).min(FREE_MAX);
    }

    /// We reset a stream.
    pub(super) fn stream_reset(&mut self) {
        self.free_late_frames = (self.free_late_frames + FREE_LATE_FRAMES_PER_RESET).min(FREE_MAX);
    }

    /// Charges for a frame of a stream that we reset.
    pub(super) fn late_frame(&mut self, now: Instant) -> Result<(), ConnectionError> {
        match self.free_late_frames.checked_sub(1) {
            Some(left) => self.free_late_frames = left,
            None => self.charge(now, "too many frames for streams that were reset")?,
        }
        Ok(())
    }

    /// A stream ended well.
    pub(super) fn stream_ended(&mut self) {
        self.earn(1);
    }

    /// A frame of a stream came. So the next PING is part of an exchange: gRPC measures bandwidth with PINGs.
    pub(super) fn stream_frame(&mut self) {
        self.is_busy = true;
    }

    /// Charges for a frame that is free once after each frame of a stream, and after each DATA frame that was sent: PING,
    /// SETTINGS, unknown types.
    pub(super) fn control(&mut self, now: Instant) -> Result<(), ConnectionError> {
        if std::mem::take(&mut self.is_busy) {
            return Ok(());
        }
        self.charge(now, "too many PING, SETTINGS or unknown frames")
    }

    pub(super) fn priority(&mut self, now: Instant) -> Result<(), ConnectionError> {
        match self.free_priorities.checked_sub(1) {
            Some(left) => self.free_priorities = left,
            None => self.charge(now, "too many PRIORITY frames")?,
        }
        Ok(())
    }

    pub(super) fn window_update(&mut self, now: Instant) -> Result<(), ConnectionError> {
        match self.free_window_updates.checked_sub(1) {
            Some(left) => self.free_window_updates = left,
            None => self.charge(now, "too many WINDOW_UPDATE frames")?,
        }
        Ok(())
    }

    /// A DATA frame of `bytes` goes out, and `wanted` bytes were there. A receiver may answer it with a PING: grpc-go
    /// measures the bandwidth so, and sends nothing else for hours.
    pub(super) fn data_sent(&mut self, bytes: usize, wanted: usize) {
        self.is_busy = true;
        self.free_window_updates = (self.free_window_updates + FREE_WINDOW_UPDATES_PER_DATA).min(FREE_MAX);
        if bytes < wanted.min(DRIBBLE_BYTES) {
            self.dribbles += 1;
        } else {
            self.dribbles = self.dribbles.saturating_sub((bytes / DRIBBLE_BYTES) as u32);
        }
    }

    /// Ends a connection whose peer makes us send its data in crumbs (CVE-2019-9511).
    pub(super) fn check_dribbles(&self) -> Result<(), ConnectionError> {
        if self.dribbles > DRIBBLES_MAX {
            return Err(ConnectionError::flood("windows of a few bytes make too many small frames"));
        }
        Ok(())
    }

    /// Tokens that are left.
    pub(super) fn tokens(&self) -> u32 {
        self.tokens
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn charges(guard: &mut FloodGuard, now: Instant) -> u32 {
        (0..).take_while(|_| guard.charge(now, "").is_ok()).count() as u32
    }

    #[test]
    fn tokens_come_back_with_time_and_with_streams_that_end_well() {
        let start = Instant::now();
        let mut guard = FloodGuard::new(start);
        assert_eq!(charges(&mut guard, start), TOKENS_MAX);
        guard.stream_ended();
        assert_eq!(charges(&mut guard, start), 1);
        assert_eq!(charges(&mut guard, start + Duration::from_secs(7)), 7);
        assert_eq!(charges(&mut guard, start + Duration::from_secs(100_000)), TOKENS_MAX);
    }

    #[test]
    fn frames_that_an_exchange_needs_are_free() {
        let now = Instant::now();
        let mut guard = FloodGuard::new(now);
        for _ in 0..10_000 {
            guard.stream_frame();
            guard.control(now).unwrap();
            guard.data_sent(16_384, 16_384);
            (0..4).for_each(|_| guard.window_update(now).unwrap());
        }
        for _ in 0..10_000 {
            guard.data_sent(16_384, 16_384);
            guard.window_update(now).unwrap();
            guard.control(now).unwrap();
        }
        assert_eq!(guard.tokens(), TOKENS_MAX);
    }

    #[test]
    fn small_frames_are_forgiven_when_large_ones_follow() {
        let mut guard = FloodGuard::new(Instant::now());
        (0..DRIBBLES_MAX).for_each(|_| guard.data_sent(1, 1000));
        guard.check_dribbles().unwrap();
        guard.data_sent(1, 1);
        guard.check_dribbles().unwrap();
        guard.data_sent(16_384, 16_384);
        (0..64).for_each(|_| guard.data_sent(1, 1000));
        guard.check_dribbles().unwrap();
        guard.data_sent(1, 1000);
        assert!(guard.check_dribbles().is_err());
    }
}
