//! The part of a worker that outlives generations.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use super::date::DateHeader;
use super::permits::Permits;
use crate::http::FieldTable;
use crate::metrics::WorkerCounters;
use crate::mux::WorkerSpace;
use crate::plugin::Links;
use crate::upstream::Pools;
use crate::worker::{Slots, Worker};

/// The state of a worker that all generations share.
pub struct WorkerState {
    /// The runtime.
    pub worker: Worker,
    /// This worker's counters.
    pub counters: WorkerCounters,
    /// This worker's connections to targets, by target.
    pub pools: Pools,
    /// This worker's connections to plugins.
    pub plugin_links: Links,
    /// The table for parsed heads. It holds one head at a time, and never across an await.
    pub table: RefCell<FieldTable>,
    /// The current `Date` line.
    pub date: DateHeader,
    /// The addresses at which this worker listens.
    pub listening: RefCell<Rc<[SocketAddr]>>,
    /// The limit on connections of clients.
    pub permits: Permits,
    /// The memory that connections of HTTP/2 lend each other.
    pub streams: Rc<WorkerSpace>,
    /// The limit on unfinished TLS handshakes.
    pub handshakes: Slots,
}
