//! Checks messages of plugins.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| smolgate_fuzz::plugin_message::holds(bytes));
