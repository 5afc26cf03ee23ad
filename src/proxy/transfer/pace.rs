//! Waits until bytes may move at their pace.

use crate::policy::Pace;
use crate::worker::{Timer, Worker};

/// Waits until some of `most` bytes may move, and takes them. Returns their number, which is at least 1.
pub(in crate::proxy) async fn room(pace: &Pace, worker: &Worker, timer: &Timer, most: usize) -> usize {
    loop {
        match pace.take(most, worker.now()) {
            Ok(bytes) => return bytes,
            Err(wait) => {
                timer.arm(wait);
                timer.expired().await;
                timer.disarm();
            }
        }
    }
}
