//! Checks answers of certificate authorities, and requests to them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| smolgate_fuzz::acme::holds(bytes));
