//! Memory that the connections of a worker lend each other, so that one that waits holds none.

use std::cell::RefCell;

use crate::http::FieldTable;
use crate::http2::{WindowBudget, Workspace};

/// Bytes that a worker lends to windows beyond their first 65,535.
const WINDOW_BUDGET_BYTES: u32 = 32 * 1024 * 1024;

/// Free outputs that a worker keeps. Only connections that write hold one.
const SPARE_MAX: usize = 64;

/// Bytes of a free output that are kept.
const SPARE_BYTES_MAX: usize = 128 * 1024;

/// The memory that the HTTP/2 connections of a worker share.
pub struct WorkerSpace {
    pub(super) budget: WindowBudget,
    pub(super) memory: RefCell<Memory>,
}

/// The memory for one call.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) workspace: Workspace,
    /// The table for the head of a response.
    pub(super) table: FieldTable,
    /// A header block that is written.
    pub(super) block: Vec<u8>,
    /// A part of a request while its framing is removed.
    pub(super) body: Vec<u8>,
    spare: Vec<Vec<u8>>,
}

impl Default for WorkerSpace {
    fn default() -> Self {
        WorkerSpace { budget: WindowBudget::new(WINDOW_BUDGET_BYTES), memory: RefCell::default() }
    }
}

impl Memory {
    /// An empty output.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Keeps the memory of an output that is not needed.
    pub(super) fn keep(&mut self, mut output: Vec<u8>) {
        output.clear();
        if (1..=SPARE_BYTES_MAX).contains(&output.capacity()) && self.spare.len() < SPARE_MAX {
            self.spare.push(output);
        }
    }
}
