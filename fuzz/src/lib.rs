//! Invariants of parsers for arbitrary bytes: one module per parser.
//!
//! ```text
//! seeds() --> examples/corpus.rs --> corpus/NAME --> targets/NAME.rs --> holds(bytes)
//!        `--> tests/seeds.rs, on every toolchain --------------------------^
//! ```
//!
//! `holds` panics if an invariant is broken, so it checks more than "it did not crash". `seeds` are the first
//! inputs of the search: bytes that are plainly valid or plainly invalid. Nothing here is part of the gate;
//! `fuzz/run` starts it.

pub mod acme;
pub mod chunked_body;
pub mod configuration;
pub mod dns_answer;
pub mod glob;
pub mod hello;
pub mod http2_frames;
pub mod http2_head;
pub mod path_to_file;
pub mod plugin_message;
pub mod proxy_header;
pub mod range;
pub mod request_head;
pub mod template;
pub mod token;

mod cuts;

/// A parser and its check.
pub struct Target {
    /// Name of the module and of the binary.
    pub name: &'static str,
    /// Panics if an invariant is broken.
    pub holds: fn(&[u8]),
    /// The first inputs of the search.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! targets {
    ($($name:ident),*) => {
        /// All targets.
        pub const TARGETS: &[Target] =
            &[$(Target { name: stringify!($name), holds: $name::holds, seeds: $name::seeds }),*];
    };
}

targets!(
    acme,
    chunked_body,
    configuration,
    dns_answer,
    glob,
    hello,
    http2_frames,
    http2_head,
    path_to_file,
    plugin_message,
    proxy_header,
    range,
    request_head,
    template,
    token
);
