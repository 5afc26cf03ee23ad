//! Checks globs for paths.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| smolgate_fuzz::glob::holds(bytes));
