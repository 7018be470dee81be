//! Everything that runs on a GPU, against the same on the CPU.
//!
//! Where there is no GPU, a pretend one takes its place (`tests/pretend_card`): CUDA's dispatch over the
//! CPU's kernels. It shows whether every tensor is where it should be, and counts what a card would be
//! asked to do; rounding and speed are the real card's alone. `REQUIRE_CUDA=1` wants a real one.

mod on_card;
mod support;
