//! What must hold for whatever bytes a parser is given: a module for each parser.
//!
//! ```text
//! seeds() --> examples/corpus.rs --> corpus/NAME --> targets/NAME.rs --> holds(bytes)
//!        `--> tests/seeds.rs, on every toolchain --------------------------^
//! ```
//!
//! `holds` panics where something does not, with more to say than "it did not crash". `seeds` is what
//! the search begins with: bytes that are plainly valid or plainly not. Nothing here is part of the
//! gate; `fuzz/run` starts it.

pub mod chunked_body;
pub mod configuration;
pub mod hello;
pub mod proxy_header;
pub mod request_head;

mod cuts;

/// A parser, and what is tried on it.
pub struct Target {
    /// Of its module and of its binary.
    pub name: &'static str,
    /// Panics where a promise is broken.
    pub holds: fn(&[u8]),
    /// What the search begins with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! targets {
    ($($name:ident),*) => {
        /// All of them.
        pub const TARGETS: &[Target] =
            &[$(Target { name: stringify!($name), holds: $name::holds, seeds: $name::seeds }),*];
    };
}

targets!(chunked_body, configuration, hello, proxy_header, request_head);
