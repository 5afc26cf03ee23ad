//! Checks chunked bodies.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| smolgate_fuzz::chunked_body::holds(bytes));
