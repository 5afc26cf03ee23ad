//! A table in parts, each behind a lock of its own, so that workers seldom wait for each other.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The parts of a table.
pub(in crate::policy) const SHARDS: usize = 16;

/// The parts, one of which has each key.
#[derive(Default)]
pub(in crate::policy) struct Shards<T>([Shard<T>; SHARDS]);

/// One part, in cache lines of its own.
#[derive(Default)]
#[repr(align(64))]
struct Shard<T>(Mutex<T>);

impl<T> Shards<T> {
    /// The part that has the keys with this hash. A panic leaves no part half changed.
    pub(in crate::policy) fn of(&self, hash: u64) -> MutexGuard<'_, T> {
        self.0[hash as usize % SHARDS].0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker that holds one part keeps no other from a key of another part.
    #[test]
    fn a_part_that_is_locked_leaves_the_others() {
        let shards = Shards::<u64>::default();
        let held = shards.of(3);
        for hash in (0..64).filter(|hash| hash % SHARDS as u64 != 3) {
            *shards.of(hash) += 1;
        }
        assert_eq!(*held, 0);
        drop(held);
        assert_eq!((*shards.of(0), *shards.of(5), *shards.of(3)), (4, 4, 0));
    }
}
