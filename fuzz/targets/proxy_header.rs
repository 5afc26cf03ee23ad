//! Checks PROXY headers.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| smolgate_fuzz::proxy_header::holds(bytes));
