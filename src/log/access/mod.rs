//! The access log: one line per exchange, and one per connection without exchanges.
//!
//! A worker formats the line and queues it; a thread writes it. If the queue is full, the line is dropped and
//! counted in `smolgate_access_log_dropped_total`. Of a request's fields only `Host`, `User-Agent` and
//! `Referer` are written: never a cookie, never `Authorization`.

mod switch;
mod tail;

mod tail_filter;

mod access_log;

mod combined;
mod human;
mod json;

mod record;

#[cfg(test)]
mod tests;

pub use access_log::{AccessLog, FLUSH_TIME_MAX};
pub use record::{AccessRecord, AccessRequest};
pub use switch::{AccessLines, AccessSwitch};
pub use tail::{READERS_MAX, Tail, TailObserver, TailReader};
pub use tail_filter::{TailFilter, TailFormat};
