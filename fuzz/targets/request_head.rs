//! Checks request heads.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| smolgate_fuzz::request_head::holds(bytes));
