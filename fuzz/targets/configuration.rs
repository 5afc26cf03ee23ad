//! Checks configurations of both kinds.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| smolgate_fuzz::configuration::holds(bytes));
