//! Common parts of the end-to-end tests: a gate with a configuration, upstreams that record every byte they
//! receive, and a client that sends exactly the given bytes.
//!
//! Sockets block and threads are those of std, on purpose. Nothing here shares code with the gate, so a
//! mistake of the gate cannot hide behind an equal one in its test. Every wait has a deadline and a
//! description, and no sleep hopes for luck.
//!
//! Each test file declares `mod support;` and uses only a part of it, hence the two allows.
#![allow(dead_code, unreachable_pub)]

pub mod adapted;
pub mod client;
pub mod dialects;
pub mod folder;
pub mod gate;
pub mod golden;
#[cfg(feature = "http2")]
pub mod http2;
#[cfg(feature = "http2")]
pub mod http2_target;
pub mod keys;
pub mod keys_of_headers;
mod acme_keys;
mod policy_keys;
pub mod message;
pub mod place;
pub mod program;
pub mod schema;
mod store_keys;
pub mod tls;
#[cfg(feature = "jwt")]
pub mod tokens;
pub mod upstream;
pub mod wire;

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// The longest wait for anything that must happen. It is long enough for a busy machine; only a failing test
/// waits that long.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds; panics with `what` when it does not within [`DEADLINE`].
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "timed out before {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A latch that one side opens and others wait for.
#[derive(Clone, Default)]
pub struct Latch(Arc<(Mutex<bool>, Condvar)>);

impl Latch {
    /// A closed latch.
    pub fn new() -> Latch {
        Latch::default()
    }

    /// Opens the latch, for present and later waits.
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        *self.0.0.lock().unwrap()
    }

    /// Waits until it is open. Panics after [`DEADLINE`].
    #[track_caller]
    pub fn wait(&self) {
        let open = self.0.0.lock().unwrap();
        let (open, _) = self.0.1.wait_timeout_while(open, DEADLINE, |open| !*open).unwrap();
        assert!(*open, "timed out at a latch");
    }
}

/// `len` bytes that look random and depend only on `seed` and `len`. They have no short repetitions, so a
/// lost, doubled or swapped block is noticed.
pub fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// FNV-1a, 64 bits: the name of a body in a ledger or a message.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// Bytes in a readable form for failure messages, shortened if long.
pub fn show(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(2000)];
    let more =
        if shown.len() < bytes.len() { format!(" ... {} bytes in all", bytes.len()) } else { String::new() };
    format!("\"{}\"{more}", shown.escape_ascii())
}
