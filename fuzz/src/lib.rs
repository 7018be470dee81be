//! What is fuzzed: each a function of any input, which may refuse it but not fail.

pub mod idx;
pub mod safetensors;
pub mod spec;
