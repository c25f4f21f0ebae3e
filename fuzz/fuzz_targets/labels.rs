#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| loop_dml::fuzzing::labels(bytes));
