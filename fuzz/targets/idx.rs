//! See `src/idx.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| curvature_runner_fuzz::idx::read(bytes));
