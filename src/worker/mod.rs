//! The runtime of the data plane: one thread, one executor, one reactor, and nothing shared.
//!
//! A future is polled by the executor, finds that its socket has nothing, leaves its waker with the
//! reactor and returns. When every task has done so the thread asks the kernel what is ready, wakes
//! the tasks that waited for it, fires the timers that are due, and begins again:
//!
//! ```text
//!        +--> run every ready task --> nothing left --> wait in the kernel --+
//!        |         executor.rs                             reactor.rs        |
//!        +--- wake the tasks <--- mark sockets ready, fire timers <----------+
//!                                     source.rs, timer.rs
//! ```
//!
//! Everything here belongs to one thread, so it is `Rc` and `Cell`. The one thing that crosses
//! threads is a wake (`executor::Shared`). This is the only module that names `polling`, and the only
//! one with `unsafe`; it knows nothing of HTTP, rules or configuration. `docs/worker.md` tells it slowly.

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

/// Lets go of the program's code that is mapped, for when it has started: most of it was for reading
/// arguments and configuration. What serves is mapped again as it runs. Halves the memory that an idle
/// process is said to take.
pub fn release_startup_code() {
    // Then it stays; nothing is wrong with it but that it takes room.
    let _ = platform::release_startup_code();
}

/// Lets workers go first, on whatever core they and this thread meet: for a thread that does long work
/// beside them. There is no way back, and threads that it starts do the same. Linux only; elsewhere nothing
/// changes.
pub fn lower_priority() {
    // Then it competes with them, as any thread does.
    let _ = platform::lower_priority();
}

/// The same, but behind everybody who wants that core: the calling thread runs while it is idle else, and on a
/// machine that never is hardly at all. Where that cannot be had it gives way.
pub fn use_idle_priority() {
    if platform::use_idle_priority().is_err() {
        lower_priority();
    }
}

#[cfg(test)]
mod tests;
