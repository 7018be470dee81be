//! See `src/safetensors.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| curvature_runner_fuzz::safetensors::read(bytes));
