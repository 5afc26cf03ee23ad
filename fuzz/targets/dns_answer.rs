//! Checks answers of DNS servers.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| smolgate_fuzz::dns_answer::holds(bytes));
