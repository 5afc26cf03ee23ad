//! The runtime of the data plane: one thread, one executor, one reactor, and nothing shared.
//!
//! The executor polls a future. If its socket has nothing to read, the future leaves its waker with the
//! reactor and returns. When every task has done so, the thread asks the kernel which sockets are ready.
//! It wakes the tasks that wait for them, fires the timers that are due, and begins again:
//!
//! ```text
//!        +--> run every ready task --> nothing left --> wait in the kernel --+
//!        |         executor.rs                             reactor.rs        |
//!        +--- wake the tasks <--- mark sockets ready, fire timers <----------+
//!                                     source.rs, timer.rs
//! ```
//!
//! All data here belongs to one thread, so the code uses `Rc` and `Cell`. Only a wake crosses threads
//! (`executor::Shared`). No other module names `polling` or has `unsafe` code. This module knows nothing of
//! HTTP, rules or configuration. `docs/worker.md` explains it step by step.

mod accept;
mod buffer;
mod executor;
mod future_pool;
mod housekeeping;
mod platform;
mod reactor;
mod socket;
mod source;
mod spare;
mod splice;
mod stream;
mod timer;

pub use accept::{AcceptError, Listener};
pub use async_task::Task;
pub use buffer::{BUFFER_BYTES, Buffer, BufferSize, LARGE_BUFFER_BYTES, SMALL_BUFFER_BYTES};
pub use executor::{Worker, run};
pub use future_pool::{FuturePool, PooledFuture};
pub use socket::{BACKLOG, is_free, listen};
pub use splice::Pipe;
pub use stream::TcpStream;
pub use timer::Timer;

/// Unmaps the program's code after startup, because most of it only read arguments and configuration.
/// The kernel maps pages again when they run. This halves the reported memory of an idle process.
pub fn release_startup_code() {
    // If it fails, the code stays mapped and only takes memory.
    let _ = platform::release_startup_code();
}

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

#[cfg(test)]
mod tests;
