//! What the end-to-end tests stand on: a gate with a configuration, upstreams that record every
//! byte they receive, and a client that sends exactly the bytes it is told to.
//!
//! Blocking sockets and threads of std, on purpose: nothing here shares code with the gate, so a
//! mistake of the gate cannot hide behind the same mistake in its judge. Every wait has a deadline
//! and says what it waited for; nothing sleeps for luck.
//!
//! Each test file says `mod support;` and uses the part it needs, hence the two allows.
#![allow(dead_code, unreachable_pub)]

pub mod client;
pub mod gate;
pub mod golden;
pub mod message;
pub mod place;
pub mod program;
pub mod tls;
pub mod upstream;
pub mod wire;

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long anything that must happen may take. Long enough for a busy machine; only a failing test
/// ever waits for it.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds; panics with `what` when it does not within [`DEADLINE`].
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A door that one side opens and others wait at.
#[derive(Clone, Default)]
pub struct Latch(Arc<(Mutex<bool>, Condvar)>);

impl Latch {
    /// A closed door.
    pub fn new() -> Latch {
        Latch::default()
    }

    /// Lets everyone through, now and later.
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open; panics after [`DEADLINE`].
    #[track_caller]
    pub fn wait(&self) {
        let open = self.0.0.lock().unwrap();
        let (open, _) = self.0.1.wait_timeout_while(open, DEADLINE, |open| !*open).unwrap();
        assert!(*open, "waited in vain for a latch");
    }
}

/// `len` bytes that look random and are the same for the same `seed`, without short repetitions: a
/// lost, doubled or swapped block changes what is compared.
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

/// FNV-1a, 64 bits: names a body in a ledger or a message.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// Bytes as a person reads them in a failure, cut where they get long.
pub fn show(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(2000)];
    let more =
        if shown.len() < bytes.len() { format!(" ... {} bytes in all", bytes.len()) } else { String::new() };
    format!("\"{}\"{more}", shown.escape_ascii())
}
