//! The runtime of the data plane: one thread, one executor, one reactor, and nothing shared.
//!
//! The executor polls a future. If its socket has nothing to read, the future leaves its waker with the
//! direction of the socket and returns. After the ready tasks, at most 256 a turn, the thread asks the kernel
//! which sockets are ready. It wakes the tasks that wait for them, fires the timers that are due, and begins
//! the next turn:
//!
//! ```text
//!        +--> run ready tasks, at most 256 --> ask or wait in the kernel --+
//!        |         executor.rs                      reactor.rs             |
//!        +--- wake the tasks <--- mark sockets ready, fire timers <--------+
//!                                     source.rs, timer.rs
//! ```
//!
//! All data here belongs to one thread, so the code uses `Rc` and `Cell`. Only a wake crosses threads
//! (`executor::Shared`). No other module names `polling` or has `unsafe` code. This module knows nothing of
//! HTTP, rules or configuration. `docs/worker.md` explains it step by step.

mod future_pool;
mod io;

mod worker;

mod executor;
mod housekeeping;
mod priority;
mod reactor;
mod timer;

mod buffer;
mod pipes;
mod platform;
mod slots;

mod source;
mod spare;

pub use async_task::Task;
pub use buffer::{BUFFER_BYTES, Buffer, BufferSize, LARGE_BUFFER_BYTES, SMALL_BUFFER_BYTES};
pub use future_pool::{FuturePool, PooledFuture};
pub use housekeeping::release_startup_code;
pub use io::{AcceptError, BACKLOG, Listener, Pipe, TcpStream, is_free, listen};
pub use platform::{inherited_file, peer_process};
pub use priority::{lower_priority, use_idle_priority};
pub use slots::{Slot, Slots};
pub use timer::{Moment, Timer};
pub use worker::{Worker, run};

#[cfg(test)]
mod tests;
