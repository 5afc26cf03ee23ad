//! The priority of threads beside the workers.

use super::platform;

/// Lowers the priority of the calling thread, so that workers on the same core run first. It is for threads
/// that do long work beside the workers. It cannot be undone, and threads that it starts inherit it.
/// Linux only; elsewhere nothing changes.
pub fn lower_priority() {
    // If it fails, the thread competes with the workers like any other thread.
    let _ = platform::lower_priority();
}

/// Gives the calling thread idle priority: it runs only while no other thread wants the core. On a machine
/// that is never idle it hardly runs. Falls back to [`lower_priority`] where the system has no such class.
pub fn use_idle_priority() {
    if platform::use_idle_priority().is_err() {
        lower_priority();
    }
}
