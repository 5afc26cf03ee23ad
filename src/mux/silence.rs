//! The watch over a peer that says nothing while streams wait for it.
//!
//! A connection whose other end has vanished looks like one that has nothing to say. A PING tells them apart. But a
//! peer may take PINGs without messages for abuse (gRPC servers: more than two in five minutes), so there is one for
//! each silence, and another one only after a frame of a stream or after [`PING_EVERY`].

use std::time::{Duration, Instant};

/// The least time between two PINGs without a frame of a stream between them.
const PING_EVERY: Duration = Duration::from_secs(310);

/// The state of the watch.
pub(super) struct Silence {
    /// The time for an answer to a PING. A PING is sent after twice this time.
    answer: Duration,
    /// When something came, or the first stream began.
    heard: Instant,
    /// When a PING was sent that has no answer.
    asked: Option<Instant>,
    /// When the next PING may be sent.
    not_before: Instant,
}

/// The next step of the watch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Wait,
    Ping,
    /// The peer has not answered in time.
    Lost,
}

impl Silence {
    pub(super) fn new(answer: Duration, now: Instant) -> Silence {
        Silence { answer, heard: now, asked: None, not_before: now }
    }

    /// Notes that frames came. `of_stream`: one of them was a frame of a stream.
    pub(super) fn heard(&mut self, of_stream: bool, now: Instant) {
        (self.heard, self.asked) = (now, None);
        if of_stream {
            self.not_before = now;
        }
    }

    /// The next step, while streams are open.
    pub(super) fn step(&mut self, now: Instant) -> Step {
        if now < self.deadline() {
            return Step::Wait;
        }
        match self.asked {
            Some(_) => Step::Lost,
            None => {
                (self.asked, self.not_before) = (Some(now), now + PING_EVERY);
                Step::Ping
            }
        }
    }

    /// The next instant at which there is a step, while streams are open.
    pub(super) fn deadline(&self) -> Instant {
        match self.asked {
            Some(asked) => asked + self.answer,
            None => (self.heard + 2 * self.answer).max(self.not_before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_peer_is_asked_once_and_lost_without_an_answer() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut silence = Silence::new(second, start);
        assert_eq!(silence.step(start + second), Step::Wait);
        assert_eq!(silence.step(start + 2 * second), Step::Ping);
        assert_eq!(silence.step(start + 2 * second), Step::Wait);
        assert_eq!(silence.step(start + 3 * second), Step::Lost);
    }

    #[test]
    fn a_peer_that_answers_pings_alone_is_not_asked_again_for_minutes() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut silence = Silence::new(second, start);
        assert_eq!(silence.step(start + 2 * second), Step::Ping);
        silence.heard(false, start + 2 * second);
        assert_eq!(silence.step(start + 300 * second), Step::Wait);
        assert_eq!(silence.step(start + 312 * second), Step::Ping);
        silence.heard(true, start + 312 * second);
        assert_eq!(silence.step(start + 314 * second), Step::Ping);
    }
}
