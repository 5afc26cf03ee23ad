//! Checks paths of files.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| smolgate_fuzz::path_to_file::holds(bytes));
