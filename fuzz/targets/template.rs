//! Checks templates.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| smolgate_fuzz::template::holds(bytes));
