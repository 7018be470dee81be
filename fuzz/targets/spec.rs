//! See `src/spec.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| curvature_runner_fuzz::spec::read(text));
